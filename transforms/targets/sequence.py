"""Series of numbers to standardized ones."""

from __future__ import annotations

import tensorflow as tf

from transforms.contract.targets import SequenceTarget
from transforms.requests import Fitted, Learnt, MomentsRequest, Request
from transforms.targets.scaling import scaled, statistics, stored

__all__ = ["encode", "labelled", "requests", "statistics", "stored"]


def requests(name: str, spec: SequenceTarget, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for mean and standard deviation of each channel, over all steps."""
    return (MomentsRequest(name, raw),)


def encode(
    name: str, spec: SequenceTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns float32 [batch, length, channels], and whether all of a row is known."""
    return scaled(name, spec, raw, fitted)


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns all rows if any has a number, as the numbers of several steps were counted."""
    return min(rows, learnt.rows)
