"""Shards: rows through the frozen graph into committed files."""
