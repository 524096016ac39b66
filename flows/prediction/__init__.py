"""Prediction: raw rows scored with a registered model, into a file."""
