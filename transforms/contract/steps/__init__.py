"""Steps: what they are handed over with, and what they leave behind."""
