"""Records: what runs and backfills leave behind, and which run this is."""
