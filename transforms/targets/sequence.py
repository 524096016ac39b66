"""Series of numbers to standardized ones."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.contract.manifest import TargetStatistics
from transforms.contract.targets import SequenceTarget
from transforms.requests import Fitted, Learnt, MomentsRequest, Request


def requests(name: str, spec: SequenceTarget, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for mean and standard deviation of each channel, over all steps."""
    return (MomentsRequest(name, raw),)


def encode(
    name: str, spec: SequenceTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the series on the scale that is learnt, float32 [batch, length, channels].

    A row with a number missing has no label.
    """
    values = raw
    if spec.scale == "z_score":
        moments = fitted.moments[name]
        values = (raw - moments.mean) / moments.deviation
    known = tf.reduce_all(tf.math.is_finite(raw), axis=[1, 2])
    return tf.where(known[:, tf.newaxis, tf.newaxis], values, 0.0), known


def statistics(spec: SequenceTarget, learnt: Learnt) -> TargetStatistics:
    """Returns mean and scale of each channel."""
    if spec.scale == "none":
        return TargetStatistics()
    return TargetStatistics(mean=learnt.mean, scale=learnt.deviation)


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns all rows if any has a number, as the numbers of several steps were counted."""
    return min(rows, learnt.rows)


def stored(spec: SequenceTarget, learnt: Learnt) -> dict[str, Any]:
    """Returns nothing."""
    return {}
