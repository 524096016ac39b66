from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.trainer.world import pipeline_of, training_with
from trainer import recipe
from trainer.data.shards import shard_files
from trainer.data.stream import BatchLayout, evaluation_batches
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import export
from trainer.export.trained import load_model
from trainer.linear import fitting
from trainer.linear.fitting import Blending
from trainer.linear.sample import sample_rows
from trainer.network.members import answer, members_of
from trainer.network.model import build_model
from trainer.training.training import train


@pytest.fixture
def choosing(monkeypatch):
    """Lets the few validation rows of the tiny table choose a share."""
    monkeypatch.setattr(fitting, "FEWEST_TO_CHOOSE_BY", 10)
    monkeypatch.setattr(recipe, "FEWEST_TO_CHOOSE_BY", 10)


@pytest.fixture(scope="module")
def untrained(trainer_world):
    job = trainer_world.job("untrained")
    keras.utils.set_random_seed(1)
    return job, build_model(job.pipeline, job.manifest())


def _fit(job, network):
    blending = Blending(job.pipeline, job.manifest())
    return blending, blending.fit(
        network, shard_files(job, "train"), shard_files(job, "validation")
    )


def test_beside_a_network_that_knows_nothing_the_linear_model_answers(untrained, choosing):
    _, blend = _fit(*untrained)
    assert blend.shares()["sold"] > 0.8  # it follows from the color


def test_too_few_validation_rows_choose_no_share_so_that_there_is_no_blend(untrained):
    _, blend = _fit(*untrained)
    assert blend is None


def test_a_second_fit_keeps_penalties_and_shares_and_learns_the_other_rows(untrained, choosing):
    job, network = untrained
    blending, blend = _fit(job, network)
    files = (*shard_files(job, "train"), *shard_files(job, "validation"))
    again = blending.fit_again(blend, files)
    assert again.shares() == blend.shares()
    assert again.spec == blend.spec
    assert not np.array_equal(again.get_weights()[0], blend.get_weights()[0])


def test_a_second_fit_without_labels_of_a_target_keeps_the_first_one(
    untrained, choosing, monkeypatch
):
    def without_groups(*arguments):
        sample = sample_rows(*arguments)
        return replace(sample, weights=sample.weights | {"group": 0 * sample.weights["group"]})

    job, network = untrained
    blending, blend = _fit(job, network)
    monkeypatch.setattr(fitting, "sample_rows", without_groups)
    assert blending.fit_again(blend, shard_files(job, "train")) is blend


def test_nothing_is_blended_where_all_targets_are_pictures(trainer_world):
    photo = {"kind": "image", "content": "continuous", "height": 8, "width": 8}
    pipeline = pipeline_of(targets={"drawing": photo})
    job = trainer_world.job("pictures")
    assert Blending(pipeline, job.manifest()).fit(None, (), ()) is None


def test_members_a_second_training_and_the_export_all_answer_blended(
    trainer_world, choosing, monkeypatch
):
    training = training_with(members=3, refit="all", blend="linear")
    targets = {"sold": {"kind": "binary"}, "cost": {"kind": "numeric", "spread": True}}
    pipeline = pipeline_of(training=training, targets=targets)
    job = trainer_world.job("blended", pipeline)
    result = train(job)
    assert result.linear_shares["sold"] > 0
    assert "blended with a linear model" in result.recipe

    export(job)
    evaluated = evaluate(job)
    assert evaluated.parity < 1e-4
    constant = evaluated.baselines.constant
    assert evaluated.metrics["test_loss"] < constant["test_loss"]

    manifest = job.manifest()
    model = load_model(pipeline, manifest, trainer_world.root / "runs" / "blended")
    assert len(members_of(model)) == 3
    layout = BatchLayout.for_evaluation(pipeline, manifest)
    inputs, _, _ = next(iter(evaluation_batches(shard_files(job, "test"), layout, 8)))
    alone, beside = (answer(model, inputs, with_members=w).outputs for w in (False, True))
    for name in targets:
        np.testing.assert_allclose(alone[name], beside[name], atol=1e-6)

    # Killed while it learns the validation rows too, it has the linear model in `chosen.keras`.
    folder = trainer_world.root / "runs" / "blended"
    for file in ("model.keras", "history.json"):
        (folder / file).unlink()
    monkeypatch.delattr(Blending, "fit")
    assert train(job).linear_shares == result.linear_shares
    again = load_model(pipeline, manifest, folder)
    for before, after in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
