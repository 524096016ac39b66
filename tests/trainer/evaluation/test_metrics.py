from __future__ import annotations

import math

import numpy as np
import pytest

from tests.trainer.world import manifest_of, pipeline_of
from trainer.evaluation.figures import Figures
from trainer.evaluation.metrics import SplitScores, row_losses
from transforms.contract.workspace.manifest import TargetStatistics

TARGETS = {
    "sold": {"kind": "binary"},
    "group": {"kind": "multiclass", "metrics": ["accuracy", "top_3_accuracy"]},
    "cost": {"kind": "numeric", "loss_weight": 0.5},
}
PREDICTIONS = {
    "sold": np.array([0.9, 0.2, 0.6, 0.4], np.float32),
    "group": np.array(
        [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.5, 0.1], [0.3, 0.3, 0.4]], np.float32
    ),
    "cost": np.array([50.0, 60.0, 40.0, 0.0], np.float32),
}
TRUTHS = {  # costs of 50, 50 and 60 in their unit
    "sold": np.array([1, 0, 0, 1], np.float32),
    "group": np.array([0, 1, 0, 1], np.int64),
    "cost": np.array([0.0, 0.0, 1.0, 9.0], np.float32),
}
WEIGHTS = {
    "sold": np.ones(4, np.float32),
    "group": np.ones(4, np.float32),
    "cost": np.array([1, 1, 1, 0], np.float32),
}


@pytest.fixture
def pipeline():
    return pipeline_of(targets=TARGETS)


@pytest.fixture
def manifest():
    return manifest_of(pipeline_of())


def scores_of(pipeline, manifest, weights=WEIGHTS, batch=4, targets=frozenset(TARGETS)):
    scores = SplitScores(pipeline, manifest, targets)
    for start in range(0, 4, batch):
        parts = [
            {name: values[start : start + batch] for name, values in arrays.items()}
            for arrays in (PREDICTIONS, TRUTHS, weights)
        ]
        scores.update(*parts)
    return scores.results("test")


def test_every_metric_by_hand(pipeline, manifest):
    metrics = scores_of(pipeline, manifest)
    assert metrics["test_sold_accuracy"] == pytest.approx(0.5)
    assert metrics["test_sold_precision"] == pytest.approx(0.5)
    assert metrics["test_sold_recall"] == pytest.approx(0.5)
    assert metrics["test_sold_auc"] == pytest.approx(0.75)
    assert metrics["test_group_accuracy"] == pytest.approx(0.5)
    assert metrics["test_group_top_3_accuracy"] == pytest.approx(1.0)
    assert metrics["test_cost_mae"] == pytest.approx((0 + 10 + 20) / 3)
    assert metrics["test_cost_rmse"] == pytest.approx(math.sqrt((0 + 100 + 400) / 3))


def test_the_loss_is_weighted_by_target_and_a_mean_over_all_rows(pipeline, manifest):
    sold = -sum(math.log(p) for p in (0.9, 0.8, 0.4, 0.4))
    group = -sum(math.log(p) for p in (0.7, 0.8, 0.4, 0.3))
    cost = 0 + 1 + 4  # squares on the standardized scale; the masked row has none
    metrics = scores_of(pipeline, manifest)
    assert metrics["test_loss"] == pytest.approx((sold + group + 0.5 * cost) / 4, rel=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_batches_do_not_change_the_metrics(pipeline, manifest, batch):
    assert scores_of(pipeline, manifest, batch=batch) == pytest.approx(
        scores_of(pipeline, manifest)
    )


def test_a_target_without_labels_gives_no_metric(pipeline, manifest):
    masked = WEIGHTS | {"group": np.zeros(4, np.float32)}
    metrics = scores_of(pipeline, manifest, masked)
    assert not [name for name in metrics if "group" in name]
    assert "test_sold_auc" in metrics


@pytest.mark.parametrize("name", list(TARGETS))
def test_no_rows_have_no_losses(pipeline, manifest, name):
    pair = PREDICTIONS[name][:0], TRUTHS[name][:0]
    assert row_losses(pipeline.targets[name], manifest.targets[name], *pair).tolist() == []


def test_numbers_of_a_log_scale_are_measured_in_their_unit_and_their_loss_on_the_scale(pipeline):
    statistics = TargetStatistics(
        mean=(2.0,), scale=(0.5,), curve="log", knots=((0.0, 99.0),), scores=((-4.0, 5.2),)
    )
    manifest = manifest_of(pipeline_of()).model_copy(update={"targets": {"cost": statistics}})
    scores = SplitScores(pipeline_of(targets={"cost": {"kind": "numeric"}}), manifest, {"cost"})
    truth = np.array([-4.0, 2.0], np.float32)  # 0 and exp(3) - 1
    predicted = np.array([0.0, math.expm1(4.0)], np.float32)
    scores.update({"cost": predicted}, {"cost": truth}, {"cost": np.ones(2, np.float32)})
    metrics = scores.results("test")
    assert metrics["test_cost_mae"] == pytest.approx((math.exp(4) - math.exp(3)) / 2, rel=1e-5)
    assert metrics["test_loss"] == pytest.approx((0 + 2**2) / 2, rel=1e-5)


def test_an_auc_of_one_class_is_not_given(pipeline, manifest):
    masked = WEIGHTS | {"sold": np.array([1, 0, 0, 1], np.float32)}
    metrics = scores_of(pipeline, manifest, masked)
    assert "test_sold_auc" not in metrics
    assert metrics["test_sold_accuracy"] == pytest.approx(0.5)


def test_without_all_targets_there_is_no_loss(pipeline, manifest):
    metrics = scores_of(pipeline, manifest, targets=frozenset({"sold"}))
    assert set(metrics) == {f"test_sold_{m}" for m in ("auc", "precision", "recall", "accuracy")}


def test_figures_by_hand(pipeline, manifest):
    figures = Figures(pipeline, manifest)
    figures.update(PREDICTIONS, TRUTHS, WEIGHTS, {})
    drawn = figures.results()
    assert drawn["group"].labels == ("b", "a", "c")
    assert drawn["group"].rows == ((1, 1, 0), (0, 1, 1), (0, 0, 0))
    assert drawn["cost"].true == pytest.approx([50, 50, 60])
    assert drawn["cost"].predicted == pytest.approx([50, 60, 40])
    sold = drawn["sold"]
    curve = list(zip(sold.false_positive_rate, sold.true_positive_rate, strict=True))
    assert curve == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]


def test_no_figure_shows_values_of_a_sensitive_target(pipeline, manifest):
    marked = {n: t.model_copy(update={"sensitive": True}) for n, t in pipeline.targets.items()}
    figures = Figures(pipeline.model_copy(update={"targets": marked}), manifest)
    figures.update(PREDICTIONS, TRUTHS, WEIGHTS, {})
    assert set(figures.results()) == {"sold"}, "a curve of rates shows no value"


def test_figures_stay_small(pipeline, manifest):
    figures = Figures(pipeline, manifest)
    rows = 5000
    numbers = np.random.default_rng(1).random(rows).astype(np.float32)
    predictions = {"sold": numbers, "group": np.eye(3)[np.arange(rows) % 3], "cost": numbers}
    truths = {
        "sold": (numbers > 0.5).astype(np.float32),
        "group": np.arange(rows) % 3,
        "cost": numbers,
    }
    figures.update(predictions, truths, {name: np.ones(rows) for name in TARGETS}, {})
    drawn = figures.results()
    assert len(drawn["cost"].true) == 500
    assert len(drawn["sold"].true_positive_rate) <= 50


def test_many_classes_have_no_confusion_matrix(pipeline, manifest):
    labels = tuple(str(i) for i in range(21))
    targets = manifest.targets | {"group": TargetStatistics(labels=labels, counts=(1,) * 21)}
    figures = Figures(pipeline, manifest.model_copy(update={"targets": targets}))
    assert figures.results() == {}


def test_a_vector_is_measured_in_its_unit_over_all_its_numbers():
    targets = {"cost": {"kind": "numeric", "length": 2}}
    pipeline = pipeline_of(targets=targets)
    statistics = TargetStatistics(mean=(50.0, 0.0), scale=(10.0, 1.0))
    manifest = manifest_of(pipeline_of()).model_copy(update={"targets": {"cost": statistics}})
    scores = SplitScores(pipeline, manifest, frozenset(targets))
    truth = np.array([[0.0, 1.0], [1.0, 2.0]], np.float32)  # 50, 1 and 60, 2
    predicted = np.array([[60.0, 1.0], [60.0, 5.0]], np.float32)
    scores.update({"cost": predicted}, {"cost": truth}, {"cost": np.ones(2, np.float32)})
    metrics = scores.results("test")
    assert metrics["test_cost_mae"] == pytest.approx((10 + 0 + 0 + 3) / 4)
    assert metrics["test_cost_rmse"] == pytest.approx(math.sqrt((100 + 9) / 4))
    assert metrics["test_loss"] == pytest.approx((1 + 0 + 0 + 9) / 4)


def test_what_is_made_with_noise_is_shown_by_condition():
    from trainer.evaluation.figures import Made

    figure = Made()
    real, made = np.zeros((20, 4, 4, 1)), np.ones((20, 4, 4, 1))
    assert figure.result() is None
    figure.update(made, real, {"shape": np.array([2, 1] * 10)})
    result = figure.result()
    assert result.columns == ("real", *["made"] * 7)
    assert [len(row) for row in result.rows] == [8, 8]
    assert len(set(result.rows[0][1:])) == 1
    assert result.rows[0][0] != result.rows[0][1]


def test_a_roc_figure_has_precision_and_how_often_probabilities_came_true():
    from trainer.evaluation.figures import Roc

    figure = Roc(TargetStatistics())
    figure.update(np.array([0.9, 0.8, 0.3, 0.31]), np.array([1, 0, 1, 0]), {})
    result = figure.result()
    # From the highest threshold down: 0.9, 0.8, 0.31, 0.3.
    pairs = list(zip(result.recall, result.precision, strict=True))
    assert pairs == [(0.5, 1), (0.5, 0.5), (0.5, pytest.approx(1 / 3)), (1, 0.5)]
    assert [(own.kept, own.rows) for own in result.calibration] == [(0.5, 2), (0, 1), (1, 1)]
    assert result.calibration[0].promised == pytest.approx(0.305, abs=1e-3)


def test_a_series_has_an_error_for_every_step_and_its_first_rows_are_drawn():
    from trainer.evaluation.figures import Scatter

    figure = Scatter(TargetStatistics())
    truth = np.zeros((5, 3, 2))
    figure.update(truth + np.array([[1.0], [2.0], [4.0]]), truth, {})
    result = figure.result()
    assert result.horizon == (1, 2, 4)
    assert len(result.series) == 3
    assert result.series[0] == ((0, 0, 0), (1, 2, 4))
