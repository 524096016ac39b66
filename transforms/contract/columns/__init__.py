"""Columns as a user declares them: features and targets of every kind."""
