"""Data: from shards to the batches that a training takes."""
