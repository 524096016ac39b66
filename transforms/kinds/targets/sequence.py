"""Series of numbers to those that are learnt."""

from __future__ import annotations

import tensorflow as tf

from transforms.contract.columns.targets import SequenceTarget
from transforms.kinds.requests import Fitted, Learnt, Request, ScaleRequest
from transforms.kinds.targets.scaling import scaled, statistics, stored

__all__ = ["encode", "labelled", "requests", "statistics", "stored"]


def requests(name: str, spec: SequenceTarget, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the scale of each channel, over all steps."""
    return (ScaleRequest(name, raw, declared=spec.scale),)


def encode(
    name: str, spec: SequenceTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns float32 [batch, length, channels], and whether all of a row is known."""
    return scaled(fitted.scales[name], raw)


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns all rows if any has a number, as the numbers of several steps were counted."""
    return min(rows, learnt.rows)
