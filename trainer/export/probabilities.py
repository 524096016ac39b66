"""Probabilities that come true as often as they say, and the threshold from which one is a yes.

B batch, C classes, K knots.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from pydantic import TypeAdapter

from trainer.network.members import Answer
from trainer.run_folder import PROBABILITIES_FILE
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.results import Result
from transforms.contract.workspace.documents import RETRAIN, read_value
from transforms.contract.workspace.manifest import DECISION_SUFFIX

LEAST = 1e-7  # of a probability, so that its logarithm is finite

Tensors = Mapping[str, tf.Tensor]


class Adjustment(Result):
    """What becomes of a target's probabilities after the network.

    Attributes:
        temperature: What logits are divided by; 1 changes nothing. Guo et al., "On Calibration of
            Modern Neural Networks", 2017.
        curves: Of isotonic calibration, for "yes" or for every class, rising knots (from, to)
            between which a probability goes straight. Zadrozny and Elkan, "Transforming Classifier
            Scores into Accurate Multiclass Probability Estimates", 2002.
        threshold: The probability from which the answer is yes; None serves no decision.
    """

    temperature: float = 1.0
    curves: tuple[tuple[tuple[float, float], ...], ...] = ()
    threshold: float | None = None


Adjustments = Mapping[str, Adjustment]
KEPT = TypeAdapter(dict[str, Adjustment])


def kept_adjustments(pipeline: PipelineSpec, run_folder: Path) -> Adjustments:
    """Returns the adjustments that a run's export was made with; none if none is asked for."""
    if not pipeline.adjusted_targets():
        return {}
    return read_value(run_folder / PROBABILITIES_FILE, KEPT, action=RETRAIN)


def adjusted(adjustments: Adjustments, name: str, output: tf.Tensor) -> tf.Tensor:
    """Returns a target's probabilities after their calibration, [B, 1] or [B, C]."""
    adjustment = adjustments.get(name)
    if adjustment is None:
        return output
    if adjustment.curves:
        classes = tf.unstack(output, axis=-1)
        pairs = zip(classes, adjustment.curves, strict=True)
        moved = tf.stack([_along(curve, values_B) for values_B, curve in pairs], axis=-1)
        if len(classes) == 1:
            return moved
        total_B1 = tf.reduce_sum(moved, axis=-1, keepdims=True)
        # Where no class is ever true there is nothing to go by.
        return tf.where(total_B1 > 0, moved / tf.maximum(total_B1, LEAST), output)
    if adjustment.temperature == 1:
        return output  # not even the last bit of it changes
    clipped = tf.clip_by_value(output, LEAST, 1 - LEAST)
    if output.shape[-1] == 1:
        return tf.sigmoid((tf.math.log(clipped) - tf.math.log1p(-clipped)) / adjustment.temperature)
    return tf.nn.softmax(tf.math.log(clipped) / adjustment.temperature, axis=-1)


def adjusted_answer(adjustments: Adjustments, answered: Answer) -> Answer:
    """Returns a network's answer, and each member's, after the calibration of probabilities."""
    outputs, *members = (
        {name: adjusted(adjustments, name, output) for name, output in part.items()}
        for part in (answered.outputs, *answered.members)
    )
    return Answer(outputs, tuple(members))


def decisions(adjustments: Adjustments, served: Tensors) -> dict[str, tf.Tensor]:
    """Returns 1 for yes and 0 for no, uint8 [B], of every target with a threshold.

    They go by the target's name with `DECISION_SUFFIX`.
    """
    return {
        name + DECISION_SUFFIX: tf.cast(served[name] >= adjustment.threshold, tf.uint8)
        for name, adjustment in adjustments.items()
        if adjustment.threshold is not None
    }


def _along(curve: tuple[tuple[float, float], ...], values_B: tf.Tensor) -> tf.Tensor:
    """Returns values moved along straight lines between knots."""
    from_K, to_K = (tf.constant(ends, tf.float32) for ends in zip(*curve, strict=True))
    last = len(curve) - 1
    left_B = tf.clip_by_value(tf.searchsorted(from_K, values_B, side="right") - 1, 0, last - 1)
    low_B, high_B = tf.gather(from_K, left_B), tf.gather(from_K, left_B + 1)
    share_B = tf.clip_by_value((values_B - low_B) / tf.maximum(high_B - low_B, LEAST), 0.0, 1.0)
    start_B, stop_B = tf.gather(to_K, left_B), tf.gather(to_K, left_B + 1)
    return start_B + share_B * (stop_B - start_B)
