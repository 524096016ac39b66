"""The files of a run's folder, for the trainer and the flow. Without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from transforms.contract.steps.evaluation import EVALUATION_FILE
from transforms.contract.steps.results import EpochRecord, TrainingHistory
from transforms.contract.steps.step import TRAINER_STEPS
from transforms.contract.workspace.documents import BRING_BACK, read_json

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
LOGS_FOLDER = "logs"  # of what libraries print in a step
# What the trainer's steps leave for each other, with their logs: another machine goes on with it.
COPIED = (
    CHECKPOINT_FOLDER,
    EXPORT_FOLDER,
    MODEL_FILE,
    CHOSEN_FILE,
    RECIPE_FILE,
    LINEAR_FILE,
    SPREAD_FILE,
    PROBABILITIES_FILE,
    HISTORY_FILE,
    EVALUATION_FILE,
    *(f"{LOGS_FOLDER}/{step}.log" for step in TRAINER_STEPS),
)


def read_rounds(run_folder: Path) -> tuple[EpochRecord, ...]:
    """Returns the rounds of a run's training, the first one first; none before it has ended.

    Raises:
        DamagedFile: Their file is not as it was written.
    """
    path = run_folder / HISTORY_FILE
    return read_json(path, TrainingHistory, action=BRING_BACK).epochs if path.exists() else ()
