from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.network.heads import head_of
from transforms.contract.columns.targets import Binary, Multiclass, Multilabel, NumericTarget

BINARY = Binary(kind="binary")
CLASSES = Multiclass(kind="multiclass")
NUMBER = NumericTarget(kind="numeric")


def score(spec, metric, truth, prediction, rows=None):
    """Returns a metric of some rows, so many at a time."""
    truth, prediction = np.asarray(truth), np.asarray(prediction, np.float32)
    of_rows = head_of(spec).metrics[metric](spec)
    step = rows or max(len(truth), 1)
    for start in range(0, len(truth), step):
        of_rows.update(truth[start : start + step], prediction[start : start + step])
    return of_rows.result()


# Few different probabilities, so that there are ties.
labelled = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6).map(lambda i: i / 6)), min_size=2, max_size=40
).filter(lambda rows: len({truth for truth, _ in rows}) == 2)


@settings(max_examples=60, deadline=None)
@given(rows=labelled, step=st.integers(1, 40))
def test_the_auc_is_the_share_of_pairs_in_order_and_half_of_the_ties(rows, step) -> None:
    truth, prediction = np.array([r[0] for r in rows], float), [r[1] for r in rows]
    positives = [p for t, p in rows if t]
    negatives = [p for t, p in rows if not t]
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    expected = sum(pairs) / len(pairs)
    assert score(BINARY, "auc", truth, prediction, step) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(rows=labelled, step=st.integers(1, 40))
def test_the_average_precision_adds_up_precision_by_gained_recall(rows, step) -> None:
    truth, prediction = np.array([r[0] for r in rows], float), [r[1] for r in rows]
    positives, expected, before = truth.sum(), 0.0, 0.0
    for threshold in sorted(set(prediction), reverse=True):
        chosen = [t for t, p in rows if p >= threshold]
        recall = sum(chosen) / positives
        expected += (recall - before) * sum(chosen) / len(chosen)
        before = recall
    value = score(BINARY, "average_precision", truth, prediction, step)
    assert value == pytest.approx(expected, abs=1e-12)


def test_an_auc_tells_probabilities_apart_that_a_thousand_thresholds_do_not() -> None:
    assert score(BINARY, "auc", [0, 1, 0, 1], [1e-5, 3e-5, 2e-5, 4e-5]) == 1.0


def test_metrics_of_yes_and_no_by_hand() -> None:
    truth, prediction = [1.0, 1, 1, 0, 0], [0.9, 0.5, 0.2, 0.8, 0.1]
    values = {name: score(BINARY, name, truth, prediction) for name in head_of(BINARY).metrics}
    loss = -sum(math.log(p) for p in (0.9, 0.5, 0.2, 0.2, 0.9)) / 5
    assert values == pytest.approx(
        {
            "auc": 4 / 6,
            "average_precision": (1 + 2 / 3 + 3 / 4) / 3,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "f1": 2 / 3,
            "accuracy": 3 / 5,
            "log_loss": loss,
            # Each probability has a bin of its own.
            "calibration_error": (0.1 + 0.5 + 0.8 + 0.8 + 0.1) / 5,
        },
        rel=1e-6,
    )


def test_classes_of_several_labels_count_together() -> None:
    labels = Multilabel(kind="multilabel")
    truth = np.array([[1.0, 0.0], [1.0, 1.0]])
    prediction = np.array([[0.9, 0.6], [0.2, 0.7]])
    assert score(labels, "f1", truth, prediction) == pytest.approx(4 / 6)
    assert score(labels, "auc", truth, prediction) == pytest.approx(2 / 3)


def test_metrics_of_classes_by_hand() -> None:
    truth = [0, 0, 1, 2]
    prediction = [
        [0.5, 0.2, 0.1, 0.1, 0.1, 0.0],
        [0.1, 0.6, 0.1, 0.1, 0.1, 0.0],
        [0.1, 0.6, 0.1, 0.1, 0.1, 0.0],
        [0.3, 0.2, 0.0, 0.2, 0.1, 0.2],
    ]
    values = {name: score(CLASSES, name, truth, prediction) for name in head_of(CLASSES).metrics}
    assert values == pytest.approx(
        {
            "accuracy": 2 / 4,
            "top_3_accuracy": 3 / 4,
            "top_5_accuracy": 3 / 4,
            # Of class 0, right 1 of 2 with 2 called so; of 1, right 1 of 1 with 2; of 2 none.
            "f1": (2 / 4 + 2 / 3 + 0) / 3,
            "log_loss": -sum(math.log(p) for p in (0.5, 0.1, 0.6, 1e-7)) / 4,
            # Of the likeliest: 0.5 is right, one of the two 0.6 is, 0.3 is not.
            "calibration_error": (0.5 + (1.2 - 1) + 0.3) / 4,
        },
        rel=1e-6,
    )


def test_of_equally_likely_classes_the_first_one_is_chosen() -> None:
    equal = np.full((2, 4), 0.25)
    assert score(CLASSES, "accuracy", [0, 3], equal) == 0.5
    assert score(CLASSES, "top_3_accuracy", [2, 3], equal) == 0.5


def test_metrics_of_numbers_by_hand() -> None:
    truth, prediction = [0.0, 10.0, -20.0, 30.0], [1.0, 12.0, -20.0, 21.0]
    values = {name: score(NUMBER, name, truth, prediction) for name in head_of(NUMBER).metrics}
    assert values == pytest.approx(
        {
            "mae": (1 + 2 + 0 + 9) / 4,
            "rmse": math.sqrt((1 + 4 + 0 + 81) / 4),
            "r2": 1 - 86 / (25 + 25 + 625 + 625),
            "mape": (2 / 10 + 0 + 9 / 30) / 3,
            "median_absolute_error": 1.5,
        }
    )


def test_the_variance_of_a_list_is_that_within_its_positions() -> None:
    truth = np.array([[0.0, 1000.0], [2.0, 1000.0]])
    prediction = np.array([[1.0, 1000.0], [2.0, 1000.5]])
    assert score(NUMBER, "r2", truth, prediction) == pytest.approx(1 - (1 + 0.25) / 2)


@pytest.mark.parametrize("spec", [BINARY, CLASSES, NUMBER], ids=lambda spec: spec.kind)
@pytest.mark.parametrize("rows", [1, 7])
def test_batches_change_no_metric(spec, rows) -> None:
    random = np.random.default_rng(5)
    truth = {"binary": random.integers(0, 2, 50), "multiclass": random.integers(0, 6, 50)}.get(
        spec.kind, 1e6 + random.normal(0, 1, 50)
    )
    prediction = random.dirichlet(np.ones(6), 50)
    prediction = prediction if spec is CLASSES else prediction[:, 0]
    for name in head_of(spec).metrics:
        whole = score(spec, name, truth, prediction)
        assert score(spec, name, truth, prediction, rows) == pytest.approx(whole, rel=1e-6), name


@pytest.mark.parametrize(
    ("spec", "truth", "undefined"),
    [
        (BINARY, [1.0, 1.0], {"auc"}),
        (BINARY, [0.0, 0.0], {"auc", "average_precision", "recall"}),
        (NUMBER, [0.1, 0.1], {"r2"}),
        (NUMBER, [0.0, 0.0], {"r2", "mape"}),
        (NUMBER, [0.0, 2.0], set()),
    ],
)
def test_a_metric_that_the_rows_do_not_define_has_no_value(spec, truth, undefined) -> None:
    values = {name: score(spec, name, truth, [0.7, 0.2]) for name in head_of(spec).metrics}
    assert {name for name, value in values.items() if value is None} == undefined


@pytest.mark.parametrize("spec", [BINARY, NUMBER], ids=lambda spec: spec.kind)
def test_no_metric_has_a_value_without_rows(spec) -> None:
    empty = np.zeros(0, np.float32)
    for name, make in head_of(spec).metrics.items():
        metric = make(spec)
        assert metric.result() is None, name
        metric.update(empty, empty)
        assert metric.result() is None, name


def test_a_prediction_that_is_no_number_is_seen() -> None:
    for name in ("auc", "average_precision", "log_loss"):
        assert math.isnan(score(BINARY, name, [1.0, 0.0], [math.nan, 0.5]))


def test_probabilities_that_keep_their_word_have_no_calibration_error():
    truth = np.arange(1_000) % 5 == 0
    assert score(BINARY, "calibration_error", truth, np.full(1_000, 0.25)) == 0.05
    assert score(BINARY, "calibration_error", truth, np.full(1_000, 0.9)) == pytest.approx(0.7)
    assert score(BINARY, "calibration_error", [1], [1.0]) == 0, "a certain yes has a bin too"


def test_of_several_classes_the_likeliest_ones_promise_counts():
    sure = [[0.8, 0.1, 0.1]] * 10
    right = [0] * 8 + [1, 2]
    assert score(CLASSES, "calibration_error", right, sure, rows=3) == pytest.approx(0, abs=1e-6)
    assert score(CLASSES, "calibration_error", [1] * 10, sure) == pytest.approx(0.8)
    assert score(CLASSES, "calibration_error", np.zeros(0, int), np.zeros((0, 3))) is None
