"""Kinds: what each asks of the training rows, and how it encodes a column."""
