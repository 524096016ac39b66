"""The normalizations of the network's layers, as trainings of some hundred steps need them."""

from __future__ import annotations

import math

import keras

# With Keras's 0.99 and 0.999 a short training evaluates on the initial values.
MOMENTUM = 0.9  # of averages over batches
_GROUPS = 8  # at most


def by_row(channels: int, name: str) -> keras.layers.Layer:
    """Returns a normalization of groups of channels over one row.

    A small batch tells little of other rows, and an average of weights has none.
    """
    return keras.layers.GroupNormalization(math.gcd(_GROUPS, channels), name=name)
