"""Spreads: how far members lie apart, made as wide as their errors are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.world import pipeline_of, training_with
from trainer.evaluation.evaluation import evaluate
from trainer.export.calibration import calibrated
from trainer.export.export import export
from trainer.export.serving import check, load
from trainer.training.training import train
from transforms.contract.errors import DeclarationError

RNG = np.random.default_rng(0)


def test_two_of_three_errors_lie_within_the_calibrated_spread():
    deviations = RNG.uniform(0.1, 2.0, 5_000)
    errors = np.abs(RNG.normal(size=5_000)) * deviations * 7.0
    factor = calibrated(errors, deviations)
    assert factor == pytest.approx(7.0, rel=0.05), "errors are normal, seven times as wide"
    assert np.mean(errors <= factor * deviations) == pytest.approx(0.683, abs=1e-3)


def test_the_row_that_the_factor_is_taken_from_is_within_however_it_is_rounded():
    errors = np.arange(1.0, 18.0)
    factor = calibrated(errors, np.ones(17))
    assert np.sum(errors * (1 + 1e-6) <= factor) == 13


def test_members_that_agree_on_a_row_are_not_infinitely_sure():
    factor = calibrated(np.array([1.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    assert np.isfinite(factor)


def test_without_errors_the_spread_is_the_deviation():
    assert calibrated(np.zeros(0), np.zeros(0)) == 1.0


@pytest.fixture(scope="module")
def spread_run(trainer_world):
    """Returns a run of three members whose every target has a spread, and its evaluation."""
    targets = {
        "sold": {"kind": "binary", "spread": True, "metrics": ["auc", "calibration_error"]},
        "group": {"kind": "multiclass", "missing": "mask", "spread": True},
        "cost": {"kind": "numeric", "loss_weight": 0.5, "spread": True},
    }
    training = training_with(members="auto")
    job = trainer_world.job("spread", pipeline_of(targets=targets, training=training))
    train(job)
    export(job)
    return job, evaluate(job)


def test_numbers_lie_within_their_spread_as_often_as_promised(spread_run):
    job, evaluation = spread_run
    metrics = evaluation.metrics
    # Of 17 rows 13, the least number that promises 68.3 % of what comes.
    assert metrics["validation_cost_within_spread"] == pytest.approx(13 / 17)
    assert 0.3 < metrics["test_cost_within_spread"] <= 1.0
    assert "validation_sold_within_spread" not in metrics, "a yes lies at no distance"
    assert 0 <= metrics["test_sold_calibration_error"] <= 1
    factors = json.loads((Path(job.run_folder) / "spread.json").read_text())
    assert factors.keys() == {"sold", "group", "cost"}
    assert factors["sold"] == factors["group"] == 1.0 != factors["cost"]


def test_the_export_serves_the_spread_beside_the_answer(spread_run):
    job, _ = spread_run
    check(job)
    scorer = load(Path(job.run_folder) / "export")
    served = scorer.score({"color": ["red", "blue", ""], "unit price": [3.0, 4.0, np.nan]})
    for name in ("sold", "group", "cost"):
        assert served[f"{name}__spread"].shape == (3,)
        assert (served[f"{name}__spread"] > 0).all()
    assert scorer.score({"color": []})["cost__spread"].shape == (0,)


def test_a_spread_of_one_member_is_refused():
    targets = {"sold": {"kind": "binary", "spread": True}}
    with pytest.raises(DeclarationError, match=r"targets\.sold\.spread is how far members"):
        pipeline_of(targets=targets, training=training_with(members=1))
