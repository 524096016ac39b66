"""Sources: their files, partitions, formats and units of work."""
