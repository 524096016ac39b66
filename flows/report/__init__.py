"""Reports: summaries, pictures and tables of what runs left behind."""
