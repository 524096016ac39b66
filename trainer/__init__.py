"""Shards to a registered model."""
