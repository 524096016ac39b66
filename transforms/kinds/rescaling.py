"""Numbers on another scale that stay finite: the difference of two float32 numbers may not be."""

from __future__ import annotations

import tensorflow as tf

from transforms.contract.columns.numbers import LARGEST_FLOAT32


def rescaled(values: tf.Tensor, origin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Returns numbers as shares of the way from one to another, float32 of their shape.

    Args:
        values: float32 [..., width]; NaN stays.
        origin: What becomes 0, float32 [width].
        end: What becomes 1. Where it is the origin itself, all become 0.
    """
    return _divided(values, origin, 0.5 * end - 0.5 * origin)


def standardized(values: tf.Tensor, mean: tf.Tensor, deviation: tf.Tensor) -> tf.Tensor:
    """Returns numbers as how many deviations they are from the mean, float32 of their shape."""
    return _divided(values, mean, 0.5 * deviation)


def _divided(values: tf.Tensor, origin: tf.Tensor, half_unit: tf.Tensor) -> tf.Tensor:
    """Returns the distances from an origin in some unit, of which half is given."""
    # Halving is exact, so that nothing else changes by it.
    distances = 0.5 * values - 0.5 * origin
    return clipped(tf.math.divide_no_nan(distances, half_unit))


def clipped(values: tf.Tensor) -> tf.Tensor:
    """Returns numbers, float32 or float64, as the nearest finite float32 ones."""
    return tf.cast(tf.clip_by_value(values, -LARGEST_FLOAT32, LARGEST_FLOAT32), tf.float32)
