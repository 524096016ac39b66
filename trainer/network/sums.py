"""Sums whose order no thread decides, so that the same training gives the same model to the bit.

TensorFlow's sum of several tensors (`AddN`, which `+` in a row, `tf.add_n` and gradients become)
begins with the one whose memory it may overwrite. Where another operation reads a tensor, too, that
is the first one or not, as the threads have it. A sum of two is the same either way; one of three
and more may differ in its last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def total(terms: Sequence[Any]) -> Any:
    """Returns the sum of tensors of one shape, in their order."""
    return keras.ops.sum(keras.ops.stack(list(terms)), axis=0)


def mean(terms: Sequence[Any]) -> Any:
    """Returns the mean of tensors of one shape, added up in their order."""
    return total(terms) / len(terms)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _apart(x: Any) -> Any:
    # A copy is no part of a sum that TensorFlow would make one sum of with those around it.
    return tf.identity(x), lambda gradient: tf.raw_ops.Snapshot(input=gradient)


@keras.saving.register_keras_serializable(package="braid")
class Beside(keras.layers.Layer):  # type: ignore[misc]
    """Begins a branch whose end is added to where it began.

    Without it the gradients of all that read the tensor in the branch are one sum with the gradient
    of that addition, which others read too; with it they are a sum of their own.
    """

    def call(self, x: Any, training: bool = False) -> Any:
        """Returns the tensor as it is."""
        return _apart(x) if training else x
