"""Sessions: what the steps of one run or backfill share."""
