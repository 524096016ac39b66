"""Numbers to standardized numbers."""

from __future__ import annotations

import tensorflow as tf

from transforms.contract.manifest import StoredFeature
from transforms.contract.targets import NumericTarget
from transforms.requests import Fitted, Learnt, MomentsRequest, Request


def requests(name: str, spec: NumericTarget, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for mean and standard deviation."""
    return (MomentsRequest(name, raw[:, tf.newaxis]),)


def encode(
    name: str, spec: NumericTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the number on the scale that is learnt, float32 [batch], and whether it is known."""
    known = ~tf.math.is_nan(raw)
    values = tf.where(known, raw, tf.zeros_like(raw))
    if spec.scale == "z_score":
        moments = fitted.moments[name]
        values = tf.where(known, (values - moments.mean[0]) / moments.deviation[0], 0.0)
    return values, known


def stored(name: str, spec: NumericTarget, learnt: Learnt) -> StoredFeature:
    """Returns the stored number."""
    return StoredFeature(name=name, role="target", kind=spec.kind, dtype="float32", shape=())
