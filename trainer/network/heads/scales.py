"""From the scale that a target's numbers are learnt on to the column's unit, and back.

The curves are those of `TargetStatistics`; W is the width of its entries, the numbers' last axis.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from transforms.contract.columns.numbers import LARGEST_FLOAT32
from transforms.contract.workspace.manifest import TargetStatistics

# By how much of the training rows' range of logs a prediction may leave it, on each side.
_LOG_MARGIN = 0.5
_LARGEST_LOG = 88.7  # that of the largest float32 number is 88.72
_STORED_ERROR = 2 * np.finfo(np.float32).eps  # of a stored number, as a share of what it is made of


def predicted(statistics: TargetStatistics, output: tf.Tensor) -> tf.Tensor:
    """Returns outputs in the column's unit, float32 of their shape, finite for a finite output.

    On the curve "log" they stay within twice the training rows' range of logs, and on "quantile"
    within the training rows' range.
    """
    values = tf.cast(output, tf.float64)
    if statistics.curve != "linear":
        values = tf.clip_by_value(values, *_bounds(statistics))
    served = _in_unit(statistics, values)
    return tf.cast(tf.clip_by_value(served, -LARGEST_FLOAT32, LARGEST_FLOAT32), tf.float32)


def in_unit(statistics: TargetStatistics, values: np.ndarray) -> np.ndarray:
    """Returns stored truths in the column's unit, float64 of their shape.

    They may be outside of the training rows' range. What cannot be told from 0 by a stored number's
    precision is 0, as a relative error needs it.
    """
    stored = values.astype(np.float64)
    offset = 0.0 if statistics.curve == "quantile" else np.array(statistics.mean) / statistics.scale
    error = _STORED_ERROR * (np.abs(stored) + np.abs(offset))
    below, numbers, above = (
        _in_unit(statistics, tf.constant(near)).numpy()
        for near in (stored - error, stored, stored + error)
    )
    return np.asarray(np.where((below <= 0) & (above >= 0), 0.0, numbers))


def standardized(statistics: TargetStatistics, values: np.ndarray) -> np.ndarray:
    """Returns numbers in the column's unit on the scale that is learnt, float64 of their shape."""
    numbers = values.astype(np.float64)
    if statistics.curve == "quantile":
        slope = 1 / np.array(statistics.scale)
        knots, scores = statistics.knots, statistics.scores
        return np.asarray(_between(tf.constant(numbers), knots, scores, slope))
    if statistics.curve == "log":
        numbers = np.sign(numbers) * np.log1p(np.abs(numbers))
    return np.asarray((numbers - np.array(statistics.mean)) / np.array(statistics.scale))


def _bounds(statistics: TargetStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Returns the least and the greatest score that is served, [W] each."""
    scores = np.array(statistics.scores)
    least, greatest = scores[:, 0], scores[:, -1]
    if statistics.curve == "quantile":
        return least, greatest
    margin = _LOG_MARGIN * (greatest - least)
    mean, scale = np.array(statistics.mean), np.array(statistics.scale)
    finite = [(log - mean) / scale for log in (-_LARGEST_LOG, _LARGEST_LOG)]
    return np.maximum(least - margin, finite[0]), np.minimum(greatest + margin, finite[1])


def _in_unit(statistics: TargetStatistics, values: tf.Tensor) -> tf.Tensor:
    scale = np.array(statistics.scale)
    if statistics.curve == "quantile":
        return _between(values, statistics.scores, statistics.knots, scale)
    numbers = values * scale + np.array(statistics.mean)
    if statistics.curve == "log":
        return tf.sign(numbers) * tf.math.expm1(tf.abs(numbers))
    return numbers


def _between(
    values: tf.Tensor,
    starts: tuple[tuple[float, ...], ...],
    ends: tuple[tuple[float, ...], ...],
    slope: np.ndarray,
) -> tf.Tensor:
    """Returns float64 of the shape of `values`, straight from one point to the next.

    Args:
        values: float64 [..., W], or [B] for a width of 1.
        starts: Where the points are, W times, never falling.
        ends: What is there.
        slope: How it goes on beyond the first and the last point, [W].
    """
    xs, ys = tf.constant(starts, tf.float64), tf.constant(ends, tf.float64)
    given = tf.transpose(tf.reshape(values, [-1, len(starts)]))
    inside = tf.clip_by_value(given, xs[:, :1], xs[:, -1:])
    above = tf.clip_by_value(tf.searchsorted(xs, inside), 1, xs.shape[1] - 1)
    (x, next_x), (y, next_y) = (
        [tf.gather(points, place, batch_dims=1) for place in (above - 1, above)]
        for points in (xs, ys)
    )
    within = y + (next_y - y) * tf.math.divide_no_nan(inside - x, next_x - x)
    beyond = (given - inside) * tf.constant(slope)[:, tf.newaxis]
    return tf.reshape(tf.transpose(within + beyond), tf.shape(values))
