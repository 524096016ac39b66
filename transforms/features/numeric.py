"""Numbers to scaled numbers, or to the index of their quantile bucket."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

from transforms.contract.features import Numeric
from transforms.contract.manifest import StoredFeature
from transforms.requests import Fitted, MomentsRequest, Request

_QUANTILE_ERROR = 0.001  # of the rank, so that a boundary is off by a thousandth of the rows


def requests(name: str, spec: Numeric, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the moments of each position, float32 [batch, length]."""
    return (MomentsRequest(name, _matrix(spec, raw)),)


def encode(name: str, spec: Numeric, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns float32, or int64 bucket ids, [batch] or [batch, length]."""
    moments, values = fitted.moments[name], _matrix(spec, raw)
    if spec.default is None:
        default = tf.broadcast_to(moments.mean, tf.shape(values))
    else:
        default = _curve(spec, tf.fill(tf.shape(values), tf.constant(spec.default, tf.float32)))
    filled = tf.where(tf.math.is_nan(values), default, values)
    if spec.scale == "bucketize":
        scaled = _buckets(spec, values, filled)
    elif spec.scale == "min_max":
        span = moments.maximum - moments.minimum
        scaled = tf.math.divide_no_nan(filled - moments.minimum, span)
    elif spec.scale == "none":
        scaled = filled
    else:
        scaled = (filled - moments.mean) / moments.deviation
    return tf.squeeze(scaled, axis=1) if spec.length is None else scaled


def stored(name: str, spec: Numeric, terms: int) -> StoredFeature:
    """Returns the stored number or bucket id."""
    bucketized = spec.scale == "bucketize"
    return StoredFeature(
        name=name,
        role="feature",
        kind=spec.kind,
        dtype="int64" if bucketized else "float32",
        shape=() if spec.length is None else (spec.length,),
        cardinality=spec.buckets if bucketized else None,
    )


def _matrix(spec: Numeric, raw: tf.Tensor) -> tf.Tensor:
    values = raw[:, tf.newaxis] if spec.length is None else raw
    # In shards an infinite number never gets here; a served one counts as missing.
    values = tf.where(tf.math.is_finite(values), values, tf.constant(float("nan"), tf.float32))
    return _curve(spec, values)


def _curve(spec: Numeric, values: tf.Tensor) -> tf.Tensor:
    if spec.scale == "log":
        return tf.sign(values) * tf.math.log1p(tf.abs(values))
    return values


def _buckets(spec: Numeric, values: tf.Tensor, filled: tf.Tensor) -> tf.Tensor:
    """Returns the quantile bucket of every value; the boundaries are each position's own."""
    present = tf.cast(~tf.math.is_nan(values), tf.float32)
    counted = tf.where(tf.math.is_nan(values), tf.zeros_like(values), values)
    columns = [
        tft.apply_buckets(
            filled[:, i],
            tft.quantiles(counted[:, i], spec.buckets, _QUANTILE_ERROR, weights=present[:, i]),
        )
        for i in range(spec.length or 1)
    ]
    return tf.stack(columns, axis=1)
