"""Noise: the same draws for a resumed training, and an argument of the exported model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.interrupted import train_until
from tests.trainer.world import DECLARATION, pipeline_of, raw_rows, training_with, with_stored
from trainer.data.noise import draw
from trainer.data.shards import shard_files
from trainer.data.stream import BatchLayout, evaluation_batches, training_batches
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import export
from trainer.export.serving import check, load
from trainer.training.training import train
from transforms.contract.steps.results import CheckResult
from transforms.contract.workspace.manifest import StoredFeature

DIMENSION = 5


def stored(distribution="normal"):
    return StoredFeature(
        name="z",
        role="feature",
        kind="noise",
        dtype="float32",
        shape=(DIMENSION,),
        storage="drawn",
        distribution=distribution,
    )


@pytest.fixture(scope="module")
def world(trainer_world, tmp_path_factory):
    return with_stored(trainer_world, tmp_path_factory.mktemp("noise") / "workspace", stored())


def pipeline_with_noise(**training):
    features = DECLARATION["features"] | {"z": {"kind": "noise", "dimension": DIMENSION}}
    # A wide layer right at the noise, so that predictions depend on it before any training.
    model = {"encoders": {"z": {"kind": "dense", "units": [16]}}}
    return pipeline_of(features=features, model=model, training=training_with(**training))


@pytest.fixture(scope="module")
def finished(world):
    job = world.job("whole", pipeline_with_noise())
    steps = {"train": train, "export": export, "evaluate": evaluate, "check": check}
    return job, {name: step(job) for name, step in steps.items()}


def draws(batches):
    return np.concatenate([inputs["z"].numpy() for inputs, _, _ in batches])


def of_epoch(world, epoch, **training):
    pipeline = pipeline_with_noise(**training)
    job = world.job("stream", pipeline)
    layout = BatchLayout.for_training(pipeline, job.manifest())
    files = shard_files(job, "train")
    return draws(training_batches(files, layout, pipeline.training, epoch=epoch))


def test_noise_is_a_function_of_seed_epoch_and_batch(world):
    first = of_epoch(world, 0)
    assert first.shape == (86, DIMENSION)
    assert first.dtype == np.float32
    assert len(np.unique(first)) == first.size  # batches differ
    assert np.array_equal(of_epoch(world, 0), first)
    assert not np.isin(of_epoch(world, 1), first).any()
    assert not np.isin(of_epoch(world, 0, seed=18), first).any()


def test_evaluation_sees_the_same_noise_every_time(world):
    pipeline = pipeline_with_noise()
    job = world.job("stream", pipeline)
    layout = BatchLayout.for_evaluation(pipeline, job.manifest())
    files = shard_files(job, "validation")
    first, second = (draws(evaluation_batches(files, layout, 4)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.isin(first, of_epoch(world, 0)).any()


@pytest.mark.parametrize(
    ("distribution", "deviation", "largest"), [("normal", 1.0, 10.0), ("uniform", 3**-0.5, 1.0)]
)
def test_noise_has_the_declared_distribution(distribution, deviation, largest):
    values = draw([stored(distribution)], tf.constant(10_000), 3, tf.constant(0))["z"].numpy()
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.std() == pytest.approx(deviation, rel=0.02)
    assert np.abs(values).max() <= largest


def test_a_training_that_is_interrupted_sees_the_same_noise(world, monkeypatch):
    pipeline = pipeline_with_noise(epochs=4, early_stopping_patience=None)
    undisturbed, interrupted = (world.job(name, pipeline) for name in ("calm", "interrupted"))
    train(undisturbed)
    train_until(interrupted, epoch=2, step=3)
    train(interrupted)
    arrays = [
        np.load(Path(job.run_folder) / "training" / "epoch-0003.npz")
        for job in (undisturbed, interrupted)
    ]
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0].files)


def test_export_and_shards_agree_when_they_are_given_the_same_noise(finished):
    _, results = finished
    assert results["evaluate"].parity < 1e-4
    assert results["check"] == CheckResult()


def test_the_export_takes_noise_like_a_column(finished):
    scorer = load(finished[1]["export"].folder)
    columns = {n: v for n, v in raw_rows(range(6)).items() if n in DECLARATION["features"]}
    noise = np.linspace(-2, 2, 6 * DIMENSION, dtype=np.float32).reshape(6, DIMENSION)
    given = scorer.score(columns | {"z": noise})["cost"]
    assert np.array_equal(scorer.score(columns | {"z": noise})["cost"], given)
    assert not np.isclose(scorer.score(columns | {"z": -noise})["cost"], given).any()


def test_the_export_draws_noise_that_is_missing(finished):
    scorer = load(finished[1]["export"].folder)
    same_rows = {"color": ["red"] * 4}
    first, second = scorer.score(same_rows)["cost"], scorer.score(same_rows)["cost"]
    assert len(np.unique([first, second])) == 8
    # A row may have its own; only the others are drawn.
    noise = np.full((4, DIMENSION), np.nan, np.float32)
    noise[0] = 1.0
    mixed = [scorer.score(same_rows | {"z": noise})["cost"] for _ in range(2)]
    assert mixed[0][0] == mixed[1][0]
    assert not np.isclose(mixed[0][1:], mixed[1][1:]).any()


def test_examples_have_no_noise(finished):
    scorer = load(finished[1]["export"].folder)
    record = tf.train.Example().SerializeToString()
    costs = scorer.score_examples(tf.constant([record] * 3))["cost"]
    assert len(np.unique(costs)) == 3
