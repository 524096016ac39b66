"""Answers that cost next to nothing: a constant, a linear model, the nearest training row."""
