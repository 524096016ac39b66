"""Columns of a source: their Arrow types made one, and rules on their values."""
