"""Flat listings: a city, numbers, a text and a photo on each row."""
