"""Rows: from units of work to batches that the transform graph takes."""
