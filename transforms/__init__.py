"""Columns to shards."""
