"""Numbers of a target on the scale that is learnt, of one position or of many."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.contract.columns.targets import NumericTarget, SequenceTarget
from transforms.contract.workspace.manifest import TargetStatistics
from transforms.kinds.requests import Learnt
from transforms.kinds.rescaling import clipped, standardized


def scaled(scale: TargetStatistics, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns numbers as they are learnt, float32 [batch, ...], and whether all are known.

    A row with a number missing has no label.
    """
    positions = list(range(1, len(raw.shape)))
    known = tf.math.is_finite(raw)
    everywhere = tf.reduce_all(known, axis=positions, keepdims=True)
    values = _scores(scale, raw) if scale.curve == "quantile" else _standardized(scale, raw)
    return tf.where(everywhere, values, 0.0), tf.reduce_all(known, axis=positions)


def statistics(spec: NumericTarget | SequenceTarget, learnt: Learnt) -> TargetStatistics:
    """Returns the scale of each position, or of each channel."""
    return learnt.scale


def stored(spec: NumericTarget | SequenceTarget, learnt: Learnt) -> dict[str, Any]:
    """Returns nothing."""
    return {}


def _standardized(scale: TargetStatistics, raw: tf.Tensor) -> tf.Tensor:
    numbers = tf.sign(raw) * tf.math.log1p(tf.abs(raw)) if scale.curve == "log" else raw
    return standardized(numbers, tf.constant(scale.mean), tf.constant(scale.scale))


def _scores(scale: TargetStatistics, raw: tf.Tensor) -> tf.Tensor:
    """Returns the scores of numbers, float32 of the shape of `raw`: straight between the knots."""
    knots, scores = tf.constant(scale.knots, tf.float64), tf.constant(scale.scores, tf.float64)
    # In float64 the distance of two numbers is finite.
    numbers = tf.transpose(tf.cast(tf.reshape(raw, [-1, len(scale.knots)]), tf.float64))
    inside = tf.clip_by_value(numbers, knots[:, :1], knots[:, -1:])
    above = tf.clip_by_value(tf.searchsorted(knots, inside), 1, knots.shape[1] - 1)
    (low, high), (start, end) = (
        [tf.gather(points, place, batch_dims=1) for place in (above - 1, above)]
        for points in (knots, scores)
    )
    within = start + (end - start) * tf.math.divide_no_nan(inside - low, high - low)
    beyond = (numbers - inside) / tf.constant(scale.scale, tf.float64)[:, tf.newaxis]
    return clipped(tf.reshape(tf.transpose(within + beyond), tf.shape(raw)))
