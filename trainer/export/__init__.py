"""The export: a trained model as one SavedModel, and scoring with it."""
