"""Drawings of shapes, made from a name and noise: a picture on each row."""
