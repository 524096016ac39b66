from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.trainer.world import pipeline_of, training_with
from trainer.data import input_advice
from trainer.data.input_advice import Waiting, advice, parse_seconds, worth_a_change
from trainer.data.shards import shard_files
from trainer.data.stream import BatchLayout
from trainer.training import training

# A training on pixels: 27.7 kB and 32 µs of a core per row.
MEASURED = {
    "share": 0.42,
    "first_share": 0.02,
    "seconds_per_batch": 0.02,
    "batch_size": 128,
    "rows_per_second": 3_000.0,
    "row_bytes": 27_700.0,
    "parse_seconds": 32e-6,
    "busy": 0.2,
    "cores": 8,
    "files": 24,
    "raw": ("photo",),
}


@pytest.mark.parametrize(
    ("waited", "seconds", "worth"),
    [(11.0, 100.0, True), (9.0, 100.0, False), (9.9, 20.0, False), (100.0, 2_000.0, False)],
)
def test_more_than_a_tenth_of_the_time_and_ten_seconds_are_worth_a_change(waited, seconds, worth):
    assert worth_a_change(waited, seconds) is worth


def test_idle_cores_mean_that_storage_is_slow():
    assert advice(Waiting(**MEASURED)) == (
        "The device waited for data 42% of the time. The 8 cores were only 20% busy, and the "
        "shards came at 83.1 MB/s: put the workspace on faster storage, or set `storage: jpeg` for "
        "photo."
    )


def test_few_shards_are_few_readers():
    few = Waiting(**MEASURED | {"files": 2, "raw": ()})
    assert advice(few).endswith(
        "put the workspace on faster storage. There are 2 training shards, and as many are read at "
        "once; with more partitions, up to 8 are."
    )


def test_busy_cores_that_decode_want_raw_pixels():
    decoding = {"busy": 0.93, "parse_seconds": 800e-6, "raw": (), "encoded": ("front", "back")}
    assert advice(Waiting(**MEASURED | decoding)) == (
        "The device waited for data 42% of the time. The 8 cores were 93% busy; parsing and "
        "decoding takes 800 µs of a core per row, so that they give at most 10,000 rows/s: set "
        "`storage: raw` for front, back, or train with more cores."
    )


def test_busy_cores_without_pictures_to_decode_want_more_cores():
    assert advice(Waiting(**MEASURED | {"busy": 0.93})).endswith(
        "so that they give at most 250,000 rows/s: train with more cores."
    )


def test_short_waits_for_small_batches_want_larger_ones():
    small = {"batch_size": 16, "seconds_per_batch": 0.0004}
    assert advice(Waiting(**MEASURED | small)).endswith(
        "It waited 0.4 ms for a batch of 16 rows, about what handing over any batch takes: set a "
        "higher training.batch_size."
    )


def test_a_long_wait_for_an_epochs_first_batch_wants_a_smaller_shuffle_buffer():
    assert advice(Waiting(**MEASURED | {"first_share": 0.8})).endswith(
        "80% of that was before the first batch of an epoch, while the shuffle buffer is filled: "
        "set a lower training.shuffle_bytes."
    )


def test_parsing_is_measured_on_the_shards(trainer_world):
    job = trainer_world.job("probe")
    layout = BatchLayout.for_training(job.pipeline, job.manifest())
    assert 0 < parse_seconds(shard_files(job, "train"), layout, 16) < 0.1


def test_a_training_that_waits_warns_with_what_was_measured_of_it(trainer_world, monkeypatch):
    monkeypatch.setattr(input_advice, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(input_advice, "_MOST_WAITING", 0.0)
    advised = []
    monkeypatch.setattr(training, "advice", lambda measured: advised.append(measured) or "Do it.")
    job = trainer_world.job("waits", pipeline_of(training=training_with(epochs=2)))
    result = training.train(job)
    assert result.warnings == ("Do it.",)
    (measured,) = advised
    epochs = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    assert result.input_wait_share_by_epoch == tuple(e["input_wait_share"] for e in epochs)
    assert all(0 < e["first_wait_share"] <= e["input_wait_share"] for e in epochs)
    assert all(e["cpu_seconds"] > 0 for e in epochs)
    assert measured.share == pytest.approx(result.input_wait_share)
    assert 0 < measured.first_share <= 1
    waited = sum(e["input_wait_share"] * e["seconds"] for e in epochs)
    assert measured.seconds_per_batch == pytest.approx(waited / (2 * math.ceil(86 / 16)))
    assert measured.row_bytes == sum(file.shard.bytes for file in shard_files(job, "train")) / 86
    assert (measured.files, measured.batch_size, measured.raw) == (4, 16, ("photo",))
