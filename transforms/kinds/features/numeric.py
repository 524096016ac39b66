"""Numbers to scaled numbers, to their rank, or to the index of their quantile bucket."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from transforms.contract.columns.features import Numeric
from transforms.kinds.requests import Fitted, Learnt, Moments, MomentsRequest, QuantilesRequest
from transforms.kinds.rescaling import rescaled, standardized


def requests(
    name: str, spec: Numeric, raw: tf.Tensor
) -> tuple[MomentsRequest | QuantilesRequest, ...]:
    """Asks for the moments of each position, and for what cuts it.

    Args:
        name: The feature, or what stands for several.
        spec: What is declared of it.
        raw: float32 [batch], or [batch, length]. Of features of one number each that are declared
            alike it is [batch, features].
    """
    values = _matrix(spec, raw)
    moments = MomentsRequest(name, values)
    parts = {"bucketize": spec.buckets, "quantile": spec.quantiles}.get(spec.scale)
    return (moments,) if parts is None else (moments, QuantilesRequest(name, values, parts))


def encode(name: str, spec: Numeric, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns float32, or int64 bucket ids, of the shape of `raw`."""
    moments, values = fitted.moments[name], _matrix(spec, raw)
    if spec.default is None:
        default = tf.broadcast_to(moments.mean, tf.shape(values))
    else:
        default = _curve(spec, tf.fill(tf.shape(values), tf.constant(spec.default, tf.float32)))
    filled = tf.where(tf.math.is_nan(values), default, values)
    if spec.scale == "bucketize":
        scaled = _buckets(fitted.quantiles[name], filled)
    elif spec.scale == "quantile":
        scaled = _ranks(fitted.quantiles[name], moments, filled)
    elif spec.scale == "min_max":
        scaled = rescaled(filled, moments.minimum, moments.maximum)
    elif spec.scale == "none":
        scaled = filled
    else:
        scaled = standardized(filled, moments.mean, moments.deviation)
        if spec.clip is not None:
            scaled = tf.clip_by_value(scaled, -spec.clip, spec.clip)
    return tf.squeeze(scaled, axis=1) if raw.shape.rank == 1 else scaled


def stored(spec: Numeric, learnt: Learnt) -> dict[str, Any]:
    """Returns the number of buckets, of ids, or the edges of the numbers' pieces."""
    if spec.scale == "bucketize":
        return {"cardinality": spec.buckets}
    columns = [np.asarray(edges, np.float64) for edges in learnt.edges]
    return {"edges": tuple(_scaled_edges(spec, learnt, i, c) for i, c in enumerate(columns))}


def _scaled_edges(
    spec: Numeric, learnt: Learnt, index: int, edges: np.ndarray
) -> tuple[float, ...]:
    """Returns a column's edges as `encode` scales its numbers, which the curve has gone through."""
    if spec.scale == "quantile":
        # The rank of a number is spread evenly already.
        return tuple(np.linspace(0, 1, spec.quantiles + 1).tolist())
    if spec.scale == "min_max":
        span = learnt.maximum[index] - learnt.minimum[index]
        edges = (edges - learnt.minimum[index]) / (span or 1.0)
    elif spec.scale != "none":
        edges = (edges - learnt.mean[index]) / learnt.deviation[index]
        if spec.clip is not None:
            edges = np.clip(edges, -spec.clip, spec.clip)
    # As float32, in which the model compares them.
    return tuple(np.unique(edges.astype(np.float32)).tolist())


def _matrix(spec: Numeric, raw: tf.Tensor) -> tf.Tensor:
    values = raw[:, tf.newaxis] if raw.shape.rank == 1 else raw
    # In shards an infinite number never gets here; a served one counts as missing, and with it
    # the list that it is in.
    usable = tf.math.is_finite(values)
    if spec.length is not None:
        usable = tf.reduce_all(usable, axis=1, keepdims=True)
    values = tf.where(usable, values, tf.constant(float("nan"), tf.float32))
    return _curve(spec, values)


def _curve(spec: Numeric, values: tf.Tensor) -> tf.Tensor:
    if spec.scale == "log":
        return tf.sign(values) * tf.math.log1p(tf.abs(values))
    return values


def _buckets(boundaries: tf.Tensor, filled: tf.Tensor) -> tf.Tensor:
    """Returns the bucket of every value, int64 [batch, length]."""
    buckets = tf.searchsorted(boundaries, tf.transpose(filled), side="right")
    return tf.cast(tf.transpose(buckets), tf.int64)


def _ranks(boundaries: tf.Tensor, moments: Moments, filled: tf.Tensor) -> tf.Tensor:
    """Returns the share of the training rows below every value, float32 [batch, length].

    The quantile transform: linear between the boundaries, 0 and 1 outside of the training rows'
    range, and the middle of its ranks for a value that several boundaries share, as in Pedregosa
    et al., "Scikit-learn: Machine Learning in Python", 2011.
    """
    ends = [moments.minimum[:, tf.newaxis], boundaries, moments.maximum[:, tf.newaxis]]
    # In float64 the distance of two numbers is finite.
    knots = tf.cast(tf.concat(ends, axis=1), tf.float64)
    values = tf.cast(tf.transpose(filled), tf.float64)
    steps = boundaries.shape[1] + 1
    left = tf.searchsorted(knots, values, side="left")
    right = tf.searchsorted(knots, values, side="right")
    above = tf.clip_by_value(left, 1, steps)
    low = tf.gather(knots, above - 1, batch_dims=1)
    high = tf.gather(knots, above, batch_dims=1)
    between = tf.cast(above - 1, tf.float64) + tf.math.divide_no_nan(values - low, high - low)
    shared = tf.cast(left + right - 1, tf.float64) / 2
    ranks = tf.where(right > left, shared, between) / steps
    ranks = tf.where(values >= knots[:, -1:], tf.ones_like(ranks), ranks)
    ranks = tf.where(values <= knots[:, :1], tf.zeros_like(ranks), ranks)
    return tf.cast(tf.transpose(ranks), tf.float32)
