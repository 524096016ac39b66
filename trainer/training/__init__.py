"""Training: epochs, checkpoints, objectives and warm starts."""
