"""The names of files in a run's folder, for the trainer and the flow. Without TensorFlow."""

MODEL_FILE = "model.keras"
CHOSEN_FILE = "chosen.keras"  # the model that the validation rows chose, if another one is kept
RECIPE_FILE = "recipe.json"
LINEAR_FILE = "linear.json"  # the make of the linear model that the network is blended with
SPREAD_FILE = "spread.json"  # what makes the members' spread as wide as their errors
PROBABILITIES_FILE = "probabilities.json"  # their calibration, and thresholds
HISTORY_FILE = "history.json"
CHECKPOINT_FOLDER = "training"  # what a killed training goes on from
EXPORT_FOLDER = "export"  # the SavedModel
DECLARATION_FILE = "braid.json"  # of an export: what it was trained with and what it takes
