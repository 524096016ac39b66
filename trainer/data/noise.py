"""Noise: drawn for a batch from a seed, or in the exported model where the caller gives none.

B batch, N numbers in a row.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from transforms.contract.workspace.manifest import StoredFeature

Tensors = dict[str, tf.Tensor]

# They tell the noise from the other random numbers of an epoch: the rows' order, augmentation.
_TRAINING, _EVALUATION = 2, 3


def stream_seed(seed: int, epoch: int | None) -> int:
    """Returns what an epoch's noise is drawn from; evaluation has no epoch."""
    key = (seed, 0, _EVALUATION) if epoch is None else (seed, epoch, _TRAINING)
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def draw(noise: Iterable[StoredFeature], rows: tf.Tensor, seed: int, batch: tf.Tensor) -> Tensors:
    """Draws the noise of one batch; the same arguments give the same numbers.

    Args:
        noise: What to draw.
        rows: B.
        seed: As `stream_seed` gives it.
        batch: The batch's number in its stream.

    Returns:
        float32 [B, N] by name.
    """
    drawn: Tensors = {}
    for index, stored in enumerate(noise):
        key = tf.stack([tf.constant(seed + index, tf.int64), tf.cast(batch, tf.int64)])
        shape = (rows, *stored.shape)
        if stored.distribution == "uniform":
            drawn[stored.name] = tf.random.stateless_uniform(shape, key, -1.0, 1.0)
        else:
            drawn[stored.name] = tf.random.stateless_normal(shape, key)
    return drawn


def fill(stored: StoredFeature, given_BN: tf.Tensor) -> tf.Tensor:
    """Returns the given noise, float32 [B, N], with numbers of its own where it is not finite."""
    shape = tf.shape(given_BN)
    # The raw operations: a seed that is set for a training must not be frozen into an export.
    if stored.distribution == "uniform":
        own_BN = 2.0 * tf.raw_ops.RandomUniform(shape=shape, dtype=tf.float32) - 1.0
    else:
        own_BN = tf.raw_ops.RandomStandardNormal(shape=shape, dtype=tf.float32)
    return tf.where(tf.math.is_finite(given_BN), given_BN, own_BN)
