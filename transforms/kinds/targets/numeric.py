"""Numbers and vectors to those that are learnt."""

from __future__ import annotations

import tensorflow as tf

from transforms.contract.columns.targets import NumericTarget
from transforms.kinds.requests import Fitted, Learnt, Request, ScaleRequest
from transforms.kinds.targets.scaling import scaled, statistics, stored

__all__ = ["encode", "labelled", "requests", "statistics", "stored"]


def requests(name: str, spec: NumericTarget, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the scale of each position."""
    return (ScaleRequest(name, _matrix(spec, raw), declared=spec.scale),)


def encode(
    name: str, spec: NumericTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns float32 [batch] or [batch, length], and whether all of a row is known."""
    values, known = scaled(fitted.scales[name], _matrix(spec, raw))
    return tf.squeeze(values, axis=1) if spec.length is None else values, known


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns the rows with a number."""
    return learnt.rows


def _matrix(spec: NumericTarget, raw: tf.Tensor) -> tf.Tensor:
    return raw[:, tf.newaxis] if spec.length is None else raw
