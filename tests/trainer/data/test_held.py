from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.trainer.data.numbered_rows import LABEL, LAYOUT
from tests.trainer.world import example, recipe_with, write_shard
from trainer.data.held import HeldRows, can_be_held
from trainer.data.shards import ShardFile, shard_files
from trainer.data.stream import BatchLayout, training_batches
from transforms.contract.workspace.manifest import StoredFeature


def table(batch):
    """Returns a batch's rows as numbers, sorted."""
    columns = [tensor.numpy() for part in batch for _, tensor in sorted(part.items())]
    rows = np.concatenate([np.reshape(c, (len(c), -1)).astype(float) for c in columns], axis=1)
    return rows[np.lexsort(rows.T)]


def test_rows_are_those_that_are_parsed_anew(trainer_world):
    job = trainer_world.job("held")
    noise = StoredFeature(
        name="z", role="feature", kind="noise", dtype="float32", shape=(2,), storage="drawn"
    )
    layout = BatchLayout((*job.manifest().stored, noise), {"group": (1.0, 2.0, 3.0)}, seed=5)
    shards, recipe = shard_files(job, "train"), recipe_with(batch_size=1_000)
    held = HeldRows(shards, layout)
    (batch,) = map(held.unpack, held.batches(recipe, epoch=3))
    (anew,) = training_batches(shards, layout, recipe, epoch=3)
    # It is drawn for a batch, not for its rows.
    np.testing.assert_array_equal(batch[0].pop("z"), anew[0].pop("z"))
    np.testing.assert_array_equal(table(batch), table(anew))
    assert len(set(batch[2]["group"].numpy())) > 2


def test_a_batch_is_a_tensor_for_each_dtype_however_many_features_there_are(trainer_world):
    job = trainer_world.job("packed")
    layout = BatchLayout(job.manifest().stored, {})
    held = HeldRows(shard_files(job, "train"), layout)
    matrices, noise = next(iter(held.batches(recipe_with(batch_size=5), epoch=0)))
    widths = {dtype: matrix.shape[1] for dtype, matrix in matrices.items()}
    assert widths == {"int64": 7, "float32": 7, "uint8": 8 * 8 * 3}
    assert noise == {}
    assert held.unpack == HeldRows(shard_files(job, "validation"), layout).unpack


def test_rows_are_held_that_fit_into_the_memory_for_data(files):
    assert can_be_held(files, LAYOUT, recipe_with(shuffle_bytes=300 * 8))
    assert not can_be_held(files, LAYOUT, recipe_with(shuffle_bytes=300 * 8 - 1))


def test_pictures_count_as_they_are_decoded(tmp_path):
    picture = StoredFeature(
        name="p", role="feature", kind="image", dtype="uint8", shape=(9, 7, 3), storage="png"
    )
    pixels = np.full((9, 7, 3), 200, np.uint8)
    record = example({"p": tf.io.encode_png(pixels).numpy(), "y": np.float32(1)})
    shard = write_shard(tmp_path, "train-0.tfrecord", "train", "stored", [record] * 3)
    shards, layout = (ShardFile(tmp_path / shard.file, shard),), BatchLayout((picture, LABEL), {})
    assert not can_be_held(shards, layout, recipe_with(shuffle_bytes=3 * (9 * 7 * 3 + 4) - 1))
    held = HeldRows(shards, layout)
    (batch,) = map(held.unpack, held.batches(recipe_with(batch_size=3), epoch=0))
    np.testing.assert_array_equal(batch[0]["p"], np.stack([pixels] * 3))
