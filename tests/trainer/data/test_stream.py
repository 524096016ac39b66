from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.data.numbered_rows import LABEL, LAYOUT, NUMBER
from tests.trainer.world import example, manifest_of, pipeline_of, recipe_with
from trainer.data.shards import ShardFile, shard_files
from trainer.data.stream import (
    BatchLayout,
    evaluation_batches,
    model_batch,
    parse_records,
    readable_errors,
    shuffle_rows,
    training_batches,
)
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import StoredFeature

WEIGHT = StoredFeature(name="y__weight", role="weight", kind="binary", dtype="float32", shape=())


def order(files, *, epoch, epochs=1, first_batch=0, **changes):
    recipe = recipe_with(batch_size=32, **changes)
    batches = training_batches(
        files, LAYOUT, recipe, epoch=epoch, epochs=epochs, first_batch=first_batch
    )
    return np.concatenate([inputs["x"].numpy() for inputs, _, _ in batches]).astype(int).tolist()


def test_a_small_buffer_still_mixes_files(files):
    rows = order(files, epoch=0, shuffle_bytes=1)
    assert sorted(rows) == list(range(300))
    assert len({row // 25 for row in rows[:100]}) >= 6


def test_the_last_batch_is_shorter(files):
    batches = training_batches(files, LAYOUT, recipe_with(batch_size=128), epoch=0)
    assert [len(inputs["x"]) for inputs, _, _ in batches] == [128, 128, 44]


def test_evaluation_reads_in_the_order_of_the_files(files):
    batches = evaluation_batches(files, LAYOUT, 100)
    rows = np.concatenate([inputs["x"].numpy() for inputs, _, _ in batches])
    assert rows.tolist() == list(range(300))


def test_the_shuffle_buffer_is_bounded_by_bytes_and_by_rows(files):
    row_bytes = files[0].shard.bytes // 25
    assert shuffle_rows(files, 10 * row_bytes) == 10
    assert shuffle_rows(files, 1_000_000_000) == 300
    assert shuffle_rows(files, 1) == 1


def test_every_kind_has_its_dtype_and_shape(trainer_world):
    job = trainer_world.job("kinds")
    layout = BatchLayout.for_training(job.pipeline, job.manifest())
    batches = evaluation_batches(shard_files(job, "validation"), layout, 5)
    inputs, targets, weights = next(iter(batches))
    described = {name: (t.dtype.name, tuple(t.shape)) for name, t in (inputs | targets).items()}
    assert described == {
        "color": ("int64", (5,)),
        "price": ("float32", (5,)),
        "price__missing": ("float32", (5,)),
        "sizes": ("float32", (5, 2)),
        "band": ("int64", (5,)),
        "review": ("int64", (5, 4)),
        "photo": ("uint8", (5, 8, 8, 3)),
        "sold": ("float32", (5, 1)),
        "group": ("int64", (5, 1)),
        "cost": ("float32", (5, 1)),
    }
    # Rows 3, 10, 17, 24 and 31: every fifth number has no group.
    assert weights["group"].numpy().tolist() == [1, 0, 1, 1, 1]
    assert weights["sold"].numpy().tolist() == [1] * 5
    assert inputs["photo"].numpy()[:, 0, 0].tolist() == [
        [row * 37 % 256, row * 37 % 256, 0] for row in (3, 10, 17, 24, 31)
    ]


def test_mask_and_class_weight_multiply():
    records = tf.constant(
        [
            example({"x": np.float32(0), "y": np.float32(y), "y__weight": np.float32(w)})
            for y, w in [(0, 1), (1, 1), (1, 0)]
        ]
    )
    layout = BatchLayout((NUMBER, LABEL, WEIGHT), {"y": (0.5, 4.0)})

    eager = partial(model_batch, layout=layout)
    for run in (eager, tf.function(lambda records: eager(records))):
        _, _, weights = run(records)
        assert weights["y"].numpy().tolist() == [0.5, 4.0, 0.0]


@pytest.mark.parametrize("storage", ["png", "jpeg"])
def test_encoded_pictures_are_decoded(storage):
    pixels = np.full((2, 16, 8, 3), 200, np.uint8)
    encode = tf.io.encode_png if storage == "png" else tf.io.encode_jpeg
    records = tf.constant([example({"photo": encode(p).numpy()}) for p in pixels])
    stored = StoredFeature(
        name="photo", role="feature", kind="image", dtype="uint8", shape=(16, 8, 3), storage=storage
    )
    decoded = parse_records(records, [stored])["photo"].numpy()
    assert decoded.shape == (2, 16, 8, 3)
    assert np.abs(decoded.astype(int) - 200).max() <= 2


def test_damage_that_shows_while_reading_names_the_record(files, tmp_path):
    path = tmp_path / "train.tfrecord"
    content = bytearray(files[0].path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    file = ShardFile(path, files[0].shard)
    with pytest.raises(BraidError, match="damage in record 24"), readable_errors([file]):
        list(evaluation_batches([file], LAYOUT, 10))


def test_records_without_a_listed_feature_are_refused(files):
    layout = BatchLayout((NUMBER, LABEL, WEIGHT), {})
    with (
        pytest.raises(BraidError, match=r"the features that the transform's manifest lists"),
        readable_errors(files),
    ):
        list(evaluation_batches(files, layout, 10))


def test_evaluation_ignores_class_weights():
    pipeline = pipeline_of(targets={"sold": {"kind": "binary", "class_weights": "balanced"}})
    manifest = manifest_of(pipeline_of())
    assert BatchLayout.for_evaluation(pipeline, manifest).weights == {}
    assert BatchLayout.for_training(pipeline, manifest).weights == {"sold": (80 / 120, 2.0)}


@pytest.mark.parametrize("storage", ["raw", "png"])
def test_the_pixels_of_a_target_are_what_its_loss_takes(storage):
    pixels = np.array([0, 51, 255, 1, 2, 3], np.uint8).reshape(2, 3, 1)
    value = pixels.tobytes() if storage == "raw" else tf.io.encode_png(pixels).numpy()
    stored = StoredFeature(
        name="m", role="target", kind="image", dtype="uint8", shape=(2, 3, 1), storage=storage
    )
    records = tf.constant([example({"target/m": value})] * 2)
    (shares,) = parse_records(records, [stored], "target/").values()
    assert shares.dtype == tf.float32
    np.testing.assert_allclose(shares[1, 0, :, 0], [0, 0.2, 1], rtol=1e-6)
    classes = stored.model_copy(update={"cardinality": 256})
    (ids,) = parse_records(records, [classes], "target/").values()
    assert ids.dtype == tf.int64
    np.testing.assert_array_equal(ids[0], pixels)
