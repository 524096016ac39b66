"""Shards to batches: (inputs, targets, sample weights), each a dict of tensors by name.

B batch, H height, W width, C channels or classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.class_weights import class_weights
from trainer.data.copies import Copies
from trainer.data.fair_shares import fair_shares
from trainer.data.noise import Tensors, draw, stream_seed
from trainer.data.shards import ShardFile, count_rows, damaged, first_damage
from trainer.recipe import Recipe
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import WEIGHT_SUFFIX, StoredFeature, TransformManifest

Batch = tuple[Tensors, Tensors, Tensors]

# Files that are read at once. It is part of the rows' order, so it is no function of the machine.
OPEN_FILES = 8
_READ_BUFFER = 1024 * 1024
_ORDER = (  # of an epoch's rows: files, rows to shuffle at a time, the seed of that
    tf.TensorSpec([None], tf.string),
    tf.TensorSpec([], tf.int64),
    tf.TensorSpec([], tf.int64),
)
_RECORDS_PER_TURN = 16  # amortises the switch between files; the shuffle buffer is far larger


@dataclass(frozen=True)
class BatchLayout:
    """The layout of a batch: what a record holds, and how its targets are weighted.

    Attributes:
        stored: Every stored feature, as the manifest has it.
        weights: Per target, the weight of every class; a target that is not here weighs 1.
        seed: What noise is drawn from.
    """

    stored: tuple[StoredFeature, ...]
    weights: dict[str, tuple[float, ...]]
    seed: int = 0

    @classmethod
    def for_training(cls, pipeline: PipelineSpec, manifest: TransformManifest) -> BatchLayout:
        """Returns the layout with the declared class weights."""
        return cls(manifest.stored, class_weights(pipeline, manifest), pipeline.training.seed)

    @classmethod
    def for_evaluation(cls, pipeline: PipelineSpec, manifest: TransformManifest) -> BatchLayout:
        """Returns the layout in which every row with a label weighs the same."""
        return cls(manifest.stored, {}, pipeline.training.seed)


def training_batches(
    files: Sequence[ShardFile],
    layout: BatchLayout,
    recipe: Recipe,
    *,
    epoch: int,
    epochs: int = 1,
    first_batch: int = 0,
) -> tf.data.Dataset:
    """Yields one or more epochs: every row once in each, in an order of seed and epoch alone.

    Noise is drawn from seed, epoch and the batch's number.

    Args:
        files: Verified shards.
        layout: What the records hold.
        recipe: Batch size, shuffle buffer and seed.
        epoch: The first epoch, from 0.
        epochs: How many. A batch may have rows of two of them, so that a small table's batches are
            as large as others.
        first_batch: How many batches to leave out because they have been learnt.

    Returns:
        A dataset of (inputs, targets, sample weights); each leaf is [B, ...], the last batch may
        be shorter.
    """
    copies = Copies(files)
    if epochs == 1:
        order = _order(files, recipe, epoch)
        return _rest(_shuffled(copies, *order), layout, recipe, epoch, first_batch)
    orders = tf.data.Dataset.from_generator(
        lambda: (_order(files, recipe, epoch + number) for number in range(epochs)),
        output_signature=_ORDER,
    )
    shuffled = orders.flat_map(partial(_shuffled, copies))
    return _rest(shuffled, layout, recipe, epoch, first_batch)


def arriving_batches(
    partitions: Callable[[], Iterable[Sequence[ShardFile]]],
    layout: BatchLayout,
    recipe: Recipe,
    *,
    first_batch: int = 0,
) -> tf.data.Dataset:
    """Yields the first epoch as `training_batches` does, but partition after partition.

    The order is that of the partitions, and within one that of seed and its number: when a
    partition is there changes nothing.

    Args:
        partitions: Gives the verified training shards of one partition after another, and may wait
            for each of them.
        layout: What the records hold.
        recipe: Batch size, shuffle buffer and seed.
        first_batch: How many batches to leave out because they have been learnt.

    Returns:
        A dataset like that of `training_batches`; a batch may have rows of two partitions.
    """
    copies = Copies(more_to_come=True)

    def orders() -> Iterator[tuple[list[str], int, int]]:
        for number, files in enumerate(partitions()):
            if files:
                copies.add(files)
                yield _order(files, recipe, 0, number)

    arriving = tf.data.Dataset.from_generator(orders, output_signature=_ORDER)
    return _rest(arriving.flat_map(partial(_shuffled, copies)), layout, recipe, 0, first_batch)


def _order(files: Sequence[ShardFile], recipe: Recipe, *key: int) -> tuple[list[str], int, int]:
    """Returns the order of files, the rows to shuffle at a time, and a seed for that.

    Seed and key alone decide on the order.
    """
    random = np.random.default_rng((recipe.seed, *key))
    paths = [str(files[index].path) for index in random.permutation(len(files))]
    return paths, shuffle_rows(files, recipe.shuffle_bytes), int(random.integers(2**31))


def _shuffled(copies: Copies, paths: Any, rows: Any, seed: Any) -> tf.data.Dataset:
    records = copies.ahead_of(tf.data.Dataset.from_tensor_slices(paths)).interleave(
        _records,
        cycle_length=tf.minimum(tf.size(paths, tf.int64), OPEN_FILES),
        block_length=_RECORDS_PER_TURN,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    # Shuffle before batch: rows, not batches. Serialized rows are the smallest form to hold.
    return records.shuffle(rows, seed=seed, reshuffle_each_iteration=False)


def _rest(
    records: tf.data.Dataset,
    layout: BatchLayout,
    recipe: Recipe,
    epoch: int,
    first_batch: int,
) -> tf.data.Dataset:
    # Skip after shuffle and before parse: the rest is as in the whole epoch, and nothing is parsed
    # in vain.
    records = records.skip(first_batch * recipe.batch_size)
    return _parsed(records.batch(recipe.batch_size), layout, epoch, first_batch)


def evaluation_batches(
    files: Sequence[ShardFile], layout: BatchLayout, batch_size: int
) -> tf.data.Dataset:
    """Yields every row once, in the order of the files; the noise is the same at every call.

    Returns:
        A dataset like that of `training_batches`.
    """
    return _parsed(_in_order(files).batch(batch_size), layout, None)


def raw_batches(files: Sequence[ShardFile], batch_size: int) -> tf.data.Dataset:
    """Yields the serialized records of shards as string [B], in the order of the files."""
    return _in_order(files).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def sampled_records(files: Sequence[ShardFile], most: int) -> tf.data.Dataset:
    """Returns up to so many records: an equal part of every file, from its start.

    Args:
        files: The shards, of which one at least has a row.
        most: How many records, at least 1.
    """
    shares = fair_shares([file.shard.rows for file in files], most)
    taken = [(str(f.path), rows) for f, rows in zip(files, shares, strict=True) if rows]
    paths, rows = zip(*taken, strict=True)
    slices = tf.data.Dataset.from_tensor_slices
    return tf.data.Dataset.zip(
        Copies(files).ahead_of(slices(list(paths))), slices(np.array(rows))
    ).flat_map(lambda path, count: tf.data.TFRecordDataset(path).take(count))


def shuffle_rows(files: Sequence[ShardFile], shuffle_bytes: int) -> int:
    """Returns how many serialized rows fit into the shuffle buffer, at most all of them."""
    rows = count_rows(files)
    row_bytes = max(1, sum(file.shard.bytes for file in files) // max(1, rows))
    return max(1, min(rows, shuffle_bytes // row_bytes))


def parse_records(records: tf.Tensor, stored: Sequence[StoredFeature], prefix: str = "") -> Tensors:
    """Parses serialized records.

    Args:
        records: string [B], serialized `tf.Example`.
        stored: What to take from them.
        prefix: What the features' names begin with in the records.

    Returns:
        Every stored feature by its name, [B, *shape] of its dtype; noise is not among them. Targets
        are what their loss takes: pixels are class ids, int64, or float32 from 0 to 1; several
        labels are float32 [B, classes], 1 where the row has the label.
    """
    return _as_learnt(stored_values(records, stored, prefix), stored)


def stored_values(records: tf.Tensor, stored: Sequence[StoredFeature], prefix: str = "") -> Tensors:
    """Parses serialized records as `parse_records` does, but leaves targets as they are stored."""
    stored = [s for s in stored if s.storage != "drawn"]
    spec = {prefix + s.name: _record_feature(s) for s in stored}
    # One parse_example per batch: several times faster than one per record.
    parsed = tf.io.parse_example(records, spec)
    return {s.name: _decode(s, parsed[prefix + s.name]) for s in stored}


def _as_learnt(values: Tensors, stored: Iterable[StoredFeature]) -> Tensors:
    targets = {s.name: s for s in stored if s.role == "target"}
    return values | {name: as_learnt(s, values[name]) for name, s in targets.items()}


def model_batch(records: tf.Tensor, layout: BatchLayout) -> Batch:
    """Parses serialized records, string [B], into (inputs but noise, targets, sample weights)."""
    return batch_of(stored_values(records, layout.stored), layout)


def batch_of(values: Tensors, layout: BatchLayout) -> Batch:
    """Returns (inputs but noise, targets, sample weights) of what `stored_values` gives."""
    values = _as_learnt(values, layout.stored)
    roles = {s.name: s.role for s in layout.stored}
    inputs = {n: value for n, value in values.items() if roles[n] in ("feature", "indicator")}
    targets = {s.name: values[s.name] for s in layout.stored if s.role == "target"}
    weights = {name: _row_weights(name, targets[name], values, layout) for name in targets}
    # [B, 1] for one value a row, like the heads' outputs: Keras takes a mean over the last axis.
    shaped = {n: t[:, tf.newaxis] if t.shape.rank == 1 else t for n, t in targets.items()}
    return inputs, shaped, weights


def unshaped(truth: np.ndarray) -> np.ndarray:
    """Returns a target as the shards have it: `model_batch` makes one value a row [B, 1]."""
    return truth[:, 0] if truth.shape[1:] == (1,) else truth


@contextmanager
def readable_errors(files: Sequence[ShardFile]) -> Iterator[None]:
    """Turns what TensorFlow raises on damaged or foreign records into an error that names them.

    Raises:
        BraidError: A record is damaged or does not hold what the manifest says.
    """
    try:
        yield
    except tf.errors.DataLossError:
        for file in files:
            if _is_gone(file) or (file.path.exists() and first_damage(file.path) is not None):
                raise damaged(file) from None
        raise
    except tf.errors.NotFoundError:
        for file in files:
            if _is_gone(file):
                raise damaged(file) from None
        raise
    except tf.errors.OpError as error:
        for file in files:
            failure = file.failure()
            if failure is not None:
                raise failure from None
        if not isinstance(error, tf.errors.InvalidArgumentError):
            raise
        if "Feature:" not in error.message and "Key:" not in error.message:
            raise
        raise BraidError(
            f"the shards in {files[0].path.parent}",
            expected="records with the features that the transform's manifest lists",
            received=error.message.splitlines()[0],
            action="Delete that folder and run again: its partition is then transformed anew.",
        ) from None


def _is_gone(file: ShardFile) -> bool:
    return file.stored is None and not file.path.exists()  # a copy goes where others need room


def _in_order(files: Sequence[ShardFile]) -> tf.data.Dataset:
    paths = tf.constant([str(file.path) for file in files], tf.string)
    return _records(Copies(files).ahead_of(tf.data.Dataset.from_tensor_slices(paths)))


def _records(paths: Any) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(paths, buffer_size=_READ_BUFFER)


def _parsed(
    batches: tf.data.Dataset, layout: BatchLayout, epoch: int | None, first_batch: int = 0
) -> tf.data.Dataset:
    noise = tuple(s for s in layout.stored if s.storage == "drawn")
    seed = stream_seed(layout.seed, epoch)

    def batch(number: tf.Tensor, records: tf.Tensor) -> Batch:
        inputs, targets, weights = model_batch(records, layout)
        return inputs | draw(noise, tf.shape(records)[0], seed, number), targets, weights

    batches = batches.enumerate(first_batch).map(batch, tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def _row_weights(name: str, target: tf.Tensor, parsed: Tensors, layout: BatchLayout) -> tf.Tensor:
    weight = parsed.get(name + WEIGHT_SUFFIX)
    if weight is None:
        weight = tf.ones([tf.shape(target)[0]], tf.float32)
    if name in layout.weights:
        by_class = tf.constant(layout.weights[name], tf.float32)
        weight *= tf.gather(by_class, tf.cast(target, tf.int64))
    return weight


def _record_feature(stored: StoredFeature) -> Any:
    if stored.storage != "values":
        return tf.io.FixedLenFeature([], tf.string)
    return tf.io.FixedLenFeature(stored.shape, tf.as_dtype(stored.dtype))


def as_learnt(stored: StoredFeature, values: tf.Tensor) -> tf.Tensor:
    """Returns a target as its loss takes it."""
    if stored.kind == "multilabel":
        # Id 0 pads, and has no column.
        one_hot_BLC = tf.one_hot(values - 1, stored.cardinality)
        return tf.reduce_max(one_hot_BLC, axis=1)
    if stored.dtype != "uint8":
        return values
    if stored.cardinality is not None:
        return tf.cast(values, tf.int64)
    return tf.cast(values, tf.float32) / 255


def _decode(stored: StoredFeature, values: tf.Tensor) -> tf.Tensor:
    if stored.storage == "values":
        return values
    if stored.storage == "raw":
        return tf.reshape(tf.io.decode_raw(values, tf.uint8), [-1, *stored.shape])
    decode = tf.io.decode_jpeg if stored.storage == "jpeg" else tf.io.decode_png
    channels = stored.shape[-1]
    pixels_BHWC = tf.map_fn(
        lambda contents: decode(contents, channels=channels),
        values,
        fn_output_signature=tf.TensorSpec(stored.shape, tf.uint8),
    )
    return tf.reshape(pixels_BHWC, [-1, *stored.shape])
