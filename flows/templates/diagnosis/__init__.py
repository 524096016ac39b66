"""Heartbeats and blood pressure: one signal and one number to a diagnosis and a risk."""
