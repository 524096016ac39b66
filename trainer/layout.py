"""The names of what a trained model lies in, for the trainer and the flow. Without TensorFlow."""

EXPORT_FOLDER = "export"  # of a run's folder: the SavedModel
DECLARATION_FILE = "braid.json"  # of an export: what it was trained with and what it takes
