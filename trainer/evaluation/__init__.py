"""Evaluation: metrics, figures, baselines, and the champion on the same rows."""
