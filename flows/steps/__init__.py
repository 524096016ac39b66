"""Steps of a run and of a backfill, as plain functions."""
