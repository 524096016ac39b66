from __future__ import annotations

import numpy as np
import pytest

from tests.trainer.world import manifest_of, pipeline_of
from trainer.evaluation.baselines.scoring import BaselineScores


class Answer:
    """A baseline that gives what it was made with."""

    def __init__(self, name, **predictions):
        self.name, self._predictions = name, predictions
        self.targets = frozenset(predictions)

    def predict(self, inputs, rows):
        del inputs
        return {name: np.resize(values, rows) for name, values in self._predictions.items()}


PIPELINE = pipeline_of(targets={"sold": {"kind": "binary"}, "cost": {"kind": "numeric"}})
SOLD = np.arange(40) % 4 == 0
TRUTHS = {"sold": SOLD.astype(np.float32), "cost": np.zeros(40, np.float32)}
ALL = {name: np.ones(40, np.float32) for name in TRUTHS}
HONEST = np.where(SOLD, 0.9, 0.1)
LARGER_CLASS = np.full(40, 0.25)


@pytest.fixture
def manifest():
    return manifest_of(PIPELINE)


def _scored(manifest, model, *baselines, weights=ALL):
    scores = BaselineScores(PIPELINE, manifest, baselines)
    for split in ("validation", "test"):
        scores.update(split, {}, model, TRUTHS, weights)
    return scores


def test_baselines_have_the_models_metrics_on_both_splits(manifest):
    model = {"sold": HONEST, "cost": np.full(40, 50.0)}
    constant = Answer("constant", sold=LARGER_CLASS, cost=np.full(40, 55.0))
    scored = _scored(manifest, model, constant, Answer("linear", sold=HONEST)).results()
    assert (
        scored.constant["test_sold_accuracy"] == scored.constant["validation_sold_accuracy"] == 0.75
    )
    assert scored.constant["test_sold_auc"] == 0.5
    assert scored.constant["test_cost_mae"] == 5.0
    assert scored.constant["test_loss"] == pytest.approx(0.25 + 0.5623, abs=1e-3)
    assert scored.linear["test_sold_auc"] == 1.0
    # It has no answer for every target, so that it has no loss either.
    assert not {"test_loss", "test_cost_mae"} & set(scored.linear)
    assert set(scored.scored()) == {"constant", "linear"}


def test_a_model_that_is_worse_than_a_simple_one_beyond_doubt_is_told(manifest):
    model = {"sold": LARGER_CLASS, "cost": np.full(40, 50.0)}
    scores = _scored(manifest, model, Answer("linear", sold=HONEST, cost=np.full(40, 50.0)))
    metrics = {"test_sold_auc": 0.5, "test_cost_mae": 0.0}
    assert scores.warnings(metrics) == [
        "test_sold_auc 0.5 is worse than the linear model's 1, beyond what chance explains."
    ]


def test_what_chance_may_explain_is_not_told(manifest):
    better_on_one_row = HONEST.copy()
    better_on_one_row[0] = 0.99
    model = {"sold": HONEST, "cost": np.full(40, 50.0)}
    scores = _scored(manifest, model, Answer("linear", sold=better_on_one_row))
    assert scores.warnings({"test_sold_auc": 0.99}) == []
    # A smaller loss alone does not count: the probabilities of the model may be the bolder ones.
    timid = _scored(manifest, {"sold": LARGER_CLASS}, Answer("linear", sold=HONEST))
    assert timid.warnings({"test_sold_auc": 1.0}) == []


def test_rows_without_a_label_count_for_nothing(manifest):
    masked = ALL | {"sold": SOLD.astype(np.float32)}
    scores = _scored(manifest, {"sold": HONEST}, Answer("linear", sold=HONEST), weights=masked)
    assert scores.results().linear["test_sold_accuracy"] == 1.0
    assert scores.warnings({"test_sold_auc": 0.0}) == []
    none = ALL | {"sold": np.zeros(40, np.float32)}
    nothing = _scored(manifest, {"sold": HONEST}, Answer("linear", sold=HONEST), weights=none)
    assert nothing.results().linear == {}


def test_the_constant_answer_is_for_the_gate_and_no_warning(manifest):
    wrong = {"sold": 1 - HONEST, "cost": np.full(40, 50.0)}
    scores = _scored(manifest, wrong, Answer("constant", sold=LARGER_CLASS))
    assert scores.warnings({"test_sold_auc": 0.0}) == []
