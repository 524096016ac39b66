"""Calibration and thresholds fitted on the validation rows. N rows, C classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer.export.probabilities import (
    KEPT,
    LEAST,
    Adjustment,
    Adjustments,
    adjusted,
    kept_adjustments,
)
from trainer.export.validation import validation_answers
from trainer.network.scores import LIKELY
from trainer.run_folder import PROBABILITIES_FILE
from transforms.contract.columns.targets import Target
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.manifest import TransformManifest

_TEMPERATURES = (0.05, 20.0)
_HALVINGS = 60  # of the interval of the logarithm of the temperature: beyond double precision
_GOLDEN = (np.sqrt(5) - 1) / 2
_MOST_KNOTS = 200


def fitted_adjustments(job: TrainJob, manifest: TransformManifest) -> Adjustments:
    """Returns the adjustment of every target that asks for one, and commits `probabilities.json`.

    They are fitted on the validation rows and the model that has not learnt them. Without
    validation rows nothing is changed, and a yes begins at 0.5.

    Raises:
        BraidError: A shard is damaged.
    """
    wanted, path = job.pipeline.adjusted_targets(), Path(job.run_folder) / PROBABILITIES_FILE
    if not wanted or path.exists():
        return kept_adjustments(job.pipeline, path.parent)
    answers = validation_answers(job, manifest, wanted)
    adjustments = {
        name: fitted(job.pipeline.targets[name], *answers[name])
        if name in answers
        else unfitted(job.pipeline.targets[name])
        for name in wanted
    }
    write_atomic(path, KEPT.dump_json(adjustments, indent=1).decode())
    return adjustments


def unfitted(target: Target) -> Adjustment:
    """Returns the adjustment of a target without a row to fit one on."""
    threshold = getattr(target, "threshold", None)
    return Adjustment(threshold=LIKELY if isinstance(threshold, str) else threshold)


def fitted(target: Target, truth_N: np.ndarray, prediction: np.ndarray) -> Adjustment:
    """Returns a target's adjustment.

    Args:
        target: What it asks for.
        truth_N: 0 and 1, or class ids.
        prediction: The network's probabilities, [N] of yes or [N, C].
    """
    adjustment = unfitted(target)
    calibration = getattr(target, "calibration", None)
    if calibration == "temperature":
        adjustment = adjustment.model_copy(update={"temperature": temperature(truth_N, prediction)})
    elif calibration == "isotonic":
        columns = prediction[:, np.newaxis] if prediction.ndim == 1 else prediction
        is_class = [truth_N > 0] if prediction.ndim == 1 else None
        is_class = is_class or [truth_N == number for number in range(columns.shape[1])]
        curves = tuple(isotonic(own, columns[:, place]) for place, own in enumerate(is_class))
        adjustment = adjustment.model_copy(update={"curves": curves})
    asked = getattr(target, "threshold", None)
    if isinstance(asked, str):
        # By the probabilities that are served and compared with it, bit for bit.
        output_N1 = tf.constant(prediction[:, np.newaxis], tf.float32)
        served_N = adjusted({"": adjustment}, "", output_N1).numpy()[:, 0]
        chosen = best_threshold(asked, truth_N > 0, served_N)
        adjustment = adjustment.model_copy(update={"threshold": chosen})
    return adjustment


def tempered(prediction: np.ndarray, temperature: float) -> np.ndarray:
    """Returns probabilities whose logits are divided by a temperature."""
    clipped = np.clip(prediction.astype(np.float64), LEAST, 1 - LEAST)
    if prediction.ndim == 1:
        return 1 / (1 + ((1 - clipped) / clipped) ** (1 / temperature))
    raised = np.exp(np.log(clipped) / temperature)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def temperature(truth_N: np.ndarray, prediction: np.ndarray) -> float:
    """Returns the temperature with the least log loss: Guo et al., 2017.

    The loss has one least value along the logarithm of the temperature, which a golden-section
    search finds: Kiefer, "Sequential Minimax Search for a Maximum", 1953.
    """
    rows = np.arange(len(truth_N))

    def loss(logarithm: float) -> float:
        moved = tempered(prediction, float(np.exp(logarithm)))
        own = np.where(truth_N > 0, moved, 1 - moved) if moved.ndim == 1 else moved[rows, truth_N]
        return float(-np.log(np.maximum(own, LEAST)).mean())

    low, high = np.log(_TEMPERATURES)
    for _ in range(_HALVINGS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def isotonic(is_true_N: np.ndarray, prediction_N: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Returns the knots of the rising curve that is closest to what came true, in squares.

    Pooling adjacent violators: Ayer et al., "An Empirical Distribution Function for Sampling with
    Incomplete Information", 1955. Each pool gives a knot at its least and its greatest probability.
    """
    values, inverse, counts = np.unique(
        prediction_N.astype(np.float64), return_inverse=True, return_counts=True
    )
    shares = np.bincount(inverse, is_true_N.astype(np.float64)) / counts
    pools: list[list[float]] = []  # mean, weight, first value, last value
    for value, share, count in zip(values, shares, counts, strict=True):
        pools.append([float(share), float(count), float(value), float(value)])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            mean, weight, _, last = pools.pop()
            own = pools[-1]
            together = own[1] + weight
            own[:] = [(own[0] * own[1] + mean * weight) / together, together, own[2], last]
    knots = [knot for mean, _, first, last in pools for knot in ((first, mean), (last, mean))]
    knots = list(dict.fromkeys(knots))
    if len(knots) > _MOST_KNOTS:
        knots = [knots[int(place)] for place in np.linspace(0, len(knots) - 1, _MOST_KNOTS)]
    # Between two ends at least, beyond which nothing changes.
    return tuple(knots) if len(knots) > 1 else ((0.0, knots[0][1]), (1.0, knots[0][1]))


def best_threshold(metric: str, is_true_N: np.ndarray, prediction_N: np.ndarray) -> float:
    """Returns the threshold with the highest metric: above 0, and at most 1.

    It lies halfway between two probabilities; one that accepts nothing halfway to 1, one that
    accepts everything halfway to 0. "balanced_accuracy" is the mean of the shares of yes and of no
    that are told right: Youden, "Index for Rating Diagnostic Tests", 1950.
    """
    order = np.argsort(-prediction_N, kind="stable")
    falling = prediction_N[order].astype(np.float32)
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    accepted = np.append(0, last + 1)
    right = np.append(0, np.cumsum(is_true_N[order])[last])
    wrong = accepted - right
    yes, no = right[-1], wrong[-1]
    values = {
        "f1": 2 * right / np.maximum(accepted + yes, 1),
        "accuracy": (right + no - wrong) / (yes + no),
        "balanced_accuracy": right / max(yes, 1) + 1 - wrong / max(no, 1),
    }[metric]
    ends = np.concatenate([[1], falling[last], [0]]).astype(np.float32)
    above, below = ends[:-1], ends[1:]
    # No threshold tells a probability of 1 from yes to nothing, nor one of 0 from yes to all.
    place = int(np.argmax(np.where(above > below, values, -np.inf)))
    middle = (above[place] + below[place]) / 2
    return float(middle if middle > below[place] else above[place])
