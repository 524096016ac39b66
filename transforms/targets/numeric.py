"""Numbers and vectors to standardized ones."""

from __future__ import annotations

import tensorflow as tf

from transforms.contract.targets import NumericTarget
from transforms.requests import Fitted, Learnt, MomentsRequest, Request
from transforms.targets.scaling import scaled, statistics, stored

__all__ = ["encode", "labelled", "requests", "statistics", "stored"]


def requests(name: str, spec: NumericTarget, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for mean and standard deviation of each position."""
    return (MomentsRequest(name, _matrix(spec, raw)),)


def encode(
    name: str, spec: NumericTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns float32 [batch] or [batch, length], and whether all of a row is known."""
    values, known = scaled(name, spec, _matrix(spec, raw), fitted)
    return tf.squeeze(values, axis=1) if spec.length is None else values, known


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns the rows with a number."""
    return learnt.rows


def _matrix(spec: NumericTarget, raw: tf.Tensor) -> tf.Tensor:
    return raw[:, tf.newaxis] if spec.length is None else raw
