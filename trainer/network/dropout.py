"""Dropout that draws 16 random bits for a number in place of 32: drawing is most of its work."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

_DRAWS = 1 << 16
_PER_WORD = 4  # draws in 64 bits


@keras.saving.register_keras_serializable(package="braid")
class Dropout(keras.layers.Dropout):  # type: ignore[misc]
    """Zeroes a share of the numbers in training, in steps of 1 / 65,536, and scales up the rest.

    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the numbers, of any shape."""
        dropped = round(self.rate * _DRAWS)
        if not training or dropped == 0:
            return inputs
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        count = tf.size(inputs)
        words = tf.random.stateless_uniform(
            [(count + _PER_WORD - 1) // _PER_WORD], seed, minval=None, maxval=None, dtype=tf.int64
        )
        draws = tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:count]
        kept = tf.cast(tf.reshape(draws, tf.shape(inputs)) >= dropped, inputs.dtype)
        return inputs * kept * (_DRAWS / (_DRAWS - dropped))
