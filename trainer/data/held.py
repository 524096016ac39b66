"""A small table's rows, read and parsed once; an epoch of them is an order of their numbers.

What is parsed anew for every epoch takes as long as a step of a small network. B batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from trainer.data.noise import Tensors
from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import Batch, BatchLayout, batch_of, raw_batches, stored_values, with_noise
from trainer.recipe import Recipe

_ROWS_AT_ONCE = 256  # are parsed


def fit(files: Sequence[ShardFile], layout: BatchLayout, recipe: Recipe) -> bool:
    """Returns whether the rows, parsed, fit into the memory that the trainer has for data."""
    row_bytes = sum(s.row_bytes() for s in layout.stored if s.storage != "drawn")
    return count_rows(files) * row_bytes <= recipe.shuffle_bytes


class HeldRows:
    """All rows of some shards, parsed and in memory.

    Args:
        files: Verified shards, which are read here.
        layout: What the records hold.
    """

    def __init__(self, files: Sequence[ShardFile], layout: BatchLayout) -> None:
        self._layout = layout
        self._rows = count_rows(files)
        self._values = _read(files, layout, self._rows)

    def batches(
        self, recipe: Recipe, *, epoch: int, epochs: int = 1, first_batch: int = 0
    ) -> tf.data.Dataset:
        """Yields one or more epochs: every row once in each, in an order of seed and epoch alone.

        Args:
            recipe: Batch size and seed.
            epoch: The first epoch, from 0.
            epochs: How many. A batch may have rows of two of them.
            first_batch: How many batches to leave out because they have been learnt.

        Returns:
            A dataset like that of `training_batches`.
        """
        numbers = range(epoch, epoch + epochs)
        orders = [np.random.default_rng((recipe.seed, n)).permutation(self._rows) for n in numbers]
        size = recipe.batch_size
        with tf.device("CPU"):
            order = tf.constant(np.concatenate(orders))

        def batch(number: tf.Tensor) -> Batch:
            rows_B = order[number * size : (number + 1) * size]
            values = {name: tf.gather(held, rows_B) for name, held in self._values.items()}
            return with_noise(batch_of(values, self._layout), self._layout, epoch, number)

        count = -(-self._rows * epochs // size)
        batches = tf.data.Dataset.range(first_batch, count)
        batches = batches.map(batch, tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(tf.data.AUTOTUNE)


def _read(files: Sequence[ShardFile], layout: BatchLayout, rows: int) -> Tensors:
    """Returns the stored values of all rows by name, [rows, *shape]."""
    records = raw_batches(files, _ROWS_AT_ONCE)
    parts = records.map(
        lambda records: stored_values(records, layout.stored), tf.data.AUTOTUNE, deterministic=True
    )
    held = {
        name: np.empty((rows, *spec.shape[1:]), spec.dtype.as_numpy_dtype)
        for name, spec in parts.element_spec.items()
    }
    start = 0
    for part in parts.prefetch(tf.data.AUTOTUNE):
        for name, values in part.items():
            held[name][start : start + len(values)] = values
        start += _ROWS_AT_ONCE
    with tf.device("CPU"):  # where the batches are put together, also beside a GPU
        return {name: tf.constant(held.pop(name)) for name in list(held)}
