"""Support tickets: a text and a number on each row."""
