"""Melons: a photo and a weight on each row."""
