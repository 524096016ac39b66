"""A small table's rows, read and parsed once; an epoch of them is an order of their numbers.

What is parsed anew for every epoch takes as long as a step of a small network. B batch, W the
numbers that a row has of one dtype.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.data.noise import Tensors, draw, stream_seed
from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import Batch, BatchLayout, batch_of, raw_batches, stored_values
from trainer.recipe import Recipe
from transforms.contract.workspace.manifest import StoredFeature

_ROWS_AT_ONCE = 256  # are parsed


def can_be_held(files: Sequence[ShardFile], layout: BatchLayout, recipe: Recipe) -> bool:
    """Returns whether the rows, parsed, fit into the memory that the trainer has for data."""
    row_bytes = sum(s.row_bytes() for s in layout.stored if s.storage != "drawn")
    return count_rows(files) * row_bytes <= recipe.shuffle_bytes


@dataclass(frozen=True)
class Packing:
    """The stored values of a row side by side, those of each dtype in one matrix.

    A step takes three tensors sooner than thirty: Python looks at each of them at every step.

    Attributes:
        layout: What a batch holds.
    """

    layout: BatchLayout

    def pack(self, values: Tensors) -> Tensors:
        """Returns [B, W] by dtype of what `stored_values` gives."""
        parts: dict[str, list[tf.Tensor]] = {}
        for stored, _, width in self._places():
            parts.setdefault(stored.dtype, []).append(tf.reshape(values[stored.name], [-1, width]))
        return {dtype: tf.concat(own, axis=1) for dtype, own in parts.items()}

    def __call__(self, packed: tuple[Tensors, Tensors]) -> Batch:
        """Returns the batch of matrices by dtype and of the noise that was drawn for it."""
        matrices, noise = packed
        values = {
            stored.name: tf.reshape(
                matrices[stored.dtype][:, start : start + width], [-1, *stored.shape]
            )
            for stored, start, width in self._places()
        }
        inputs, targets, weights = batch_of(values, self.layout)
        return inputs | noise, targets, weights

    def _places(self) -> Iterator[tuple[StoredFeature, int, int]]:
        """Yields what is stored with its first column in its matrix and the number of these."""
        ends: dict[str, int] = {}
        for stored in self.layout.stored:
            if stored.storage != "drawn":
                start, width = ends.get(stored.dtype, 0), math.prod(stored.shape)
                ends[stored.dtype] = start + width
                yield stored, start, width


class HeldRows:
    """All rows of some shards, parsed and in memory.

    Args:
        files: Verified shards, which are read here.
        layout: What the records hold.

    Attributes:
        unpack: Makes a batch of what `batches` yields.
    """

    def __init__(self, files: Sequence[ShardFile], layout: BatchLayout) -> None:
        self.unpack = Packing(layout)
        self._files = files
        self._rows = count_rows(files)
        self._matrices = _read(files, self.unpack)

    def are_of(self, files: Sequence[ShardFile], layout: BatchLayout) -> bool:
        """Returns whether these are the rows of such shards in such a layout."""
        return self._files == files and self.unpack.layout == layout

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
            A dataset of what `unpack` takes; the last batch may be shorter.
        """
        numbers = range(epoch, epoch + epochs)
        orders = [np.random.default_rng((recipe.seed, n)).permutation(self._rows) for n in numbers]
        layout = self.unpack.layout
        noise = tuple(s for s in layout.stored if s.storage == "drawn")
        size, seed = recipe.batch_size, stream_seed(layout.seed, epoch)
        with tf.device("CPU"):
            order = tf.constant(np.concatenate(orders))

        def batch(number: tf.Tensor) -> tuple[Tensors, Tensors]:
            rows_B = order[number * size : (number + 1) * size]
            taken = {dtype: tf.gather(held, rows_B) for dtype, held in self._matrices.items()}
            return taken, draw(noise, tf.size(rows_B), seed, number)

        batches = tf.data.Dataset.range(first_batch, math.ceil(self._rows * epochs / size))
        batches = batches.map(batch, tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(tf.data.AUTOTUNE)


def _read(files: Sequence[ShardFile], packing: Packing) -> Tensors:
    """Returns the stored values of all rows by dtype, [rows, W]."""
    stored = packing.layout.stored
    parts = raw_batches(files, _ROWS_AT_ONCE).map(
        lambda records: packing.pack(stored_values(records, stored)),
        tf.data.AUTOTUNE,
        deterministic=True,
    )
    read = list(parts.prefetch(tf.data.AUTOTUNE))
    with tf.device("CPU"):  # where the batches are put together, also beside a GPU
        return {dtype: tf.concat([part[dtype] for part in read], axis=0) for dtype in read[0]}
