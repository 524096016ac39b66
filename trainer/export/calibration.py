"""The factors that make the members' spread as wide as the model's errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from trainer.export.spread import Factors
from trainer.export.validation import validation_answers
from trainer.run_folder import SPREAD_FILE
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.documents import RETRAIN, read_value
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.manifest import TransformManifest

WITHIN = 0.683  # the share of normal errors that lie within one standard deviation
# Of the largest deviation: members that agree to the last bit are not infinitely sure.
_SMALLEST_DEVIATION = 1e-6
# The row that a factor is taken from is within it, too, where its answer is rounded another way.
_ROUNDED = 1 + 1e-4
_FACTORS = TypeAdapter(dict[str, float])


def spread_factors(job: TrainJob, manifest: TransformManifest) -> dict[str, float]:
    """Returns the factor of every target whose spread is asked for, and commits `spread.json`.

    That of numbers is taken from the errors on the validation rows of the model that has not
    learnt them; that of probabilities, and of numbers without validation rows, is 1.

    Raises:
        BraidError: A shard is damaged.
    """
    wanted = job.pipeline.spread_targets()
    path = Path(job.run_folder) / SPREAD_FILE
    if not wanted or path.exists():
        return kept_factors(job.pipeline, path.parent)
    factors = dict.fromkeys(wanted, 1.0)
    measured = _errors(job, manifest, factors)
    factors |= {name: calibrated(errors, spread) for name, (errors, spread) in measured.items()}
    write_atomic(path, json.dumps(factors, indent=1))
    return factors


def kept_factors(pipeline: PipelineSpec, run_folder: Path) -> dict[str, float]:
    """Returns the factors that a run's export was made with; none if no spread is asked for."""
    if not pipeline.spread_targets():
        return {}
    return read_value(run_folder / SPREAD_FILE, _FACTORS, action=RETRAIN)


def calibrated(errors: np.ndarray, deviations: np.ndarray) -> float:
    """Returns the factor of deviations within which `WITHIN` of the errors lie, 1 without errors.

    Split conformal prediction with normalized errors: Lei et al., "Distribution-Free Predictive
    Inference for Regression", 2018.

    Args:
        errors: The distance of every answer from the truth.
        deviations: The standard deviation of the members' answers, of the errors' shape.
    """
    if not errors.size:
        return 1.0
    least = max(_SMALLEST_DEVIATION * float(deviations.max()), float(np.finfo(np.float32).tiny))
    ratios = np.sort((errors / np.maximum(deviations, least)).ravel())
    rank = min(int(np.ceil((len(ratios) + 1) * WITHIN)), len(ratios))
    return float(ratios[rank - 1]) * _ROUNDED


def _errors(
    job: TrainJob, manifest: TransformManifest, factors: Factors
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns errors and deviations on the validation rows, of every number with a factor."""
    numbers = [name for name in factors if job.pipeline.targets[name].learns_numbers]
    answers = validation_answers(job, manifest, numbers, factors)
    return {
        name: (np.abs(truth - prediction), deviation)
        for name, (truth, prediction, deviation) in answers.items()
    }
