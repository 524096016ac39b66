"""Postcards: a photo and a long text on each row."""
