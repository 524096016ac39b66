"""Numbers of a target on the scale that is learnt, of one position or of many."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.contract.manifest import TargetStatistics
from transforms.contract.targets import NumericTarget, SequenceTarget
from transforms.requests import Fitted, Learnt


def scaled(
    name: str, spec: NumericTarget | SequenceTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns numbers as they are learnt, float32 [batch, ...], and whether all are known.

    A row with a number missing has no label.
    """
    values = raw
    if spec.scale == "z_score":
        moments = fitted.moments[name]
        values = (raw - moments.mean) / moments.deviation
    positions = list(range(1, len(raw.shape)))
    known = tf.math.is_finite(raw)
    everywhere = tf.reduce_all(known, axis=positions, keepdims=True)
    return tf.where(everywhere, values, 0.0), tf.reduce_all(known, axis=positions)


def statistics(spec: NumericTarget | SequenceTarget, learnt: Learnt) -> TargetStatistics:
    """Returns mean and scale of each position, or of each channel."""
    if spec.scale == "none":
        return TargetStatistics()
    return TargetStatistics(mean=learnt.mean, scale=learnt.deviation)


def stored(spec: NumericTarget | SequenceTarget, learnt: Learnt) -> dict[str, Any]:
    """Returns nothing."""
    return {}
