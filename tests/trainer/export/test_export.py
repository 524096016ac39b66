from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.world import SCALE, example, raw_rows
from trainer.data.shards import shard_files
from trainer.data.stream import BatchLayout, evaluation_batches
from trainer.export.export import argument_names, export, parse_examples
from trainer.export.serving import load
from trainer.export.trained import predictor
from transforms.contract.columns.features import RawColumn

# What a serving machine does: TensorFlow, the export, nothing else.
FRESH = """
import json, sys
import tensorflow as tf
with_tensorflow = set(sys.modules)  # which imports Keras for itself
model = tf.saved_model.load(sys.argv[1])
path = sys.argv[2]
records = tf.stack(list(tf.data.TFRecordDataset(path)))
served = model.signatures["serving_examples"](examples=records)
added = {m.split(".")[0] for m in set(sys.modules) - with_tensorflow}
alone = added.isdisjoint({"keras", "trainer", "transforms", "tensorflow_text"})
print(json.dumps({
    "alone": alone,
    "sold": served["sold"].numpy().tolist(),
    "group": [label.decode() for label in served["group"].numpy()],
    "cost": served["cost"].numpy().tolist(),
}))
"""


@pytest.fixture(scope="module")
def scorer(trainer_run):
    return load(trainer_run.results["export"].folder)


@pytest.fixture(scope="module")
def expected(trainer_run):
    """The Keras model's predictions for the stored test rows of the first partition."""
    job = trainer_run.job
    predict = predictor(job.pipeline, job.manifest(), Path(job.run_folder))
    files = shard_files(job, "test")[:1]
    inputs, _, _ = next(iter(evaluation_batches(files, BatchLayout(job.manifest().stored, {}), 99)))
    return predict(inputs)


def test_the_export_loads_with_tensorflow_alone_and_agrees_with_the_shards(trainer_run, expected):
    raw = shard_files(trainer_run.job, "test", "raw")[0]
    folder = trainer_run.results["export"].folder
    done = subprocess.run(
        [sys.executable, "-c", FRESH, folder, str(raw.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    served = json.loads(done.stdout)
    assert served["alone"]
    np.testing.assert_allclose(served["sold"], expected["sold"], rtol=1e-4)
    np.testing.assert_allclose(served["cost"], expected["cost"], rtol=1e-4)
    classes = expected["group"].argmax(axis=1)
    assert served["group"] == [("b", "a", "c")[index] for index in classes]


def test_both_signatures_agree_with_the_shards_for_every_kind(trainer_run, scorer, expected):
    raw = shard_files(trainer_run.job, "test", "raw")[0]
    records = tf.stack(list(tf.data.TFRecordDataset(str(raw.path))))
    numbers = [n for n in range(60) if n % 7 == 5]
    columns = raw_rows(numbers)
    for served in (scorer.score_examples(records), scorer.score(columns)):
        np.testing.assert_allclose(served["sold"], expected["sold"], rtol=1e-4)
        np.testing.assert_allclose(served["group__probabilities"], expected["group"], rtol=1e-4)
        np.testing.assert_allclose(served["cost"], expected["cost"], rtol=1e-4)
        assert served["sold"].dtype == served["cost"].dtype == np.float32


def test_a_number_is_given_in_its_own_unit(expected):
    assert 50 - 10 * SCALE < expected["cost"].mean() < 50 + 10 * SCALE
    assert abs(expected["cost"].mean()) > SCALE  # not on the standardized scale


def test_a_key_that_an_example_lacks_is_a_missing_value(scorer):
    by_example = scorer.score_examples(tf.constant([example({}), example({"color": b"red"})]))
    by_column = scorer.score({"color": ["", "red"]})
    for name, values in by_column.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(by_example[name], values, rtol=1e-5)
            assert np.isfinite(values).all()


def test_the_export_knows_its_declaration_and_is_made_once(trainer_run, scorer):
    assert scorer.pipeline == trainer_run.job.pipeline
    assert scorer.manifest == trainer_run.job.manifest()
    assert export(trainer_run.job) == trainer_run.results["export"]


def test_the_vocabulary_file_is_in_the_export(trainer_run, run_folder):
    assert [p.name for p in (run_folder / "export" / "assets").iterdir()] == ["color.txt"]
    assert trainer_run.results["export"].bytes > 10_000


def test_columns_get_plain_argument_names():
    names = argument_names(["price", "unit price", "unit-price", "größe", "1st", "self"])
    assert names == {
        "1st": "column_1st",
        "größe": "gr__e",
        "price": "price",
        "self": "column_self",
        "unit price": "unit_price",
        "unit-price": "unit_price_2",
    }


@given(st.lists(st.text(min_size=1), unique=True))
def test_argument_names_never_clash(columns):
    names = argument_names(columns)
    assert len(set(names.values())) == len(columns)
    assert all(name.isascii() and name.isidentifier() for name in names.values())


def test_lists_in_examples_are_cut_as_in_the_shards():
    columns = (
        RawColumn(name="labels", dtype="string", shape=(2,), padded=True),
        RawColumn(name="steps", dtype="float32", shape=(2, 2), padded=True),
    )
    labels = ([b"a", b"b", b"c"], [b"", b"b"], [])
    steps = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 2.0], [])
    records = [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    "labels": tf.train.Feature(bytes_list=tf.train.BytesList(value=texts)),
                    "steps": tf.train.Feature(float_list=tf.train.FloatList(value=numbers)),
                }
            )
        ).SerializeToString()
        for texts, numbers in zip(labels, steps, strict=True)
    ]
    parsed = parse_examples(tf.constant(records), columns)
    assert parsed["labels"].numpy().tolist() == [[b"a", b"b"], [b"b", b""], [b"", b""]]
    nan = np.nan
    wanted = [[[1, 2], [3, 4]], [[1, 2], [nan, nan]], [[nan, nan], [nan, nan]]]
    np.testing.assert_array_equal(parsed["steps"], wanted)
