"""Series of numbers to scaled series. Padding stays NaN, for the encoders to leave out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.contract.columns.series import Sequence
from transforms.kinds.requests import Fitted, Learnt, MomentsRequest, Request
from transforms.kinds.rescaling import rescaled, standardized

_NAN = float("nan")


def requests(name: str, spec: Sequence, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the moments of each channel over all steps, float32 [batch, length, channels]."""
    return (MomentsRequest(name, _known(raw)),)


def encode(name: str, spec: Sequence, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns float32 [batch, length, channels].

    A missing number is its channel's mean. Of a variable series a step is padding, and stays NaN,
    if neither it nor any later step has a number.
    """
    moments, values = fitted.moments[name], _known(raw)
    filled = tf.where(tf.math.is_nan(values), moments.mean, values)
    if spec.scale == "min_max":
        filled = rescaled(filled, moments.minimum, moments.maximum)
    elif spec.scale == "z_score":
        filled = standardized(filled, moments.mean, moments.deviation)
    if not spec.variable:
        return filled
    has_number = tf.reduce_any(~tf.math.is_nan(values), axis=2)
    numbers_to_come = tf.cumsum(tf.cast(has_number, tf.int32), axis=1, reverse=True)
    return tf.where(numbers_to_come[..., tf.newaxis] > 0, filled, _NAN)


def stored(spec: Sequence, learnt: Learnt) -> dict[str, Any]:
    """Returns whether a row may end in padding."""
    return {"padded": spec.variable}


def _known(raw: tf.Tensor) -> tf.Tensor:
    # In shards an infinite number never gets here; a served one counts as missing.
    return tf.where(tf.math.is_finite(raw), raw, _NAN)
