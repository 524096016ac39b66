"""Tuning: trials of other settings, and the search among them."""
