"""Numbers and vectors to standardized ones."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.contract.manifest import TargetStatistics
from transforms.contract.targets import NumericTarget
from transforms.requests import Fitted, Learnt, MomentsRequest, Request


def requests(name: str, spec: NumericTarget, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for mean and standard deviation of each position."""
    return (MomentsRequest(name, raw[:, tf.newaxis] if spec.length is None else raw),)


def encode(
    name: str, spec: NumericTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns numbers on the scale that is learnt, float32 [batch, ...], and whether all are known.

    A row with a number missing has no label.
    """
    values = raw
    if spec.scale == "z_score":
        moments = fitted.moments[name]
        mean, deviation = moments.mean, moments.deviation
        if spec.length is None:
            mean, deviation = mean[0], deviation[0]
        values = (raw - mean) / deviation
    known = ~tf.math.is_nan(raw)
    if spec.length is not None:
        known = tf.reduce_all(known, axis=1)
    values = tf.where(known if spec.length is None else known[:, tf.newaxis], values, 0.0)
    return values, known


def statistics(spec: NumericTarget, learnt: Learnt) -> TargetStatistics:
    """Returns mean and scale of each position."""
    if spec.scale == "none":
        return TargetStatistics()
    return TargetStatistics(mean=learnt.mean, scale=learnt.deviation)


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns the rows with a number."""
    return learnt.rows


def stored(spec: NumericTarget, learnt: Learnt) -> dict[str, Any]:
    """Returns nothing."""
    return {}
