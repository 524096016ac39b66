from __future__ import annotations

import numpy as np
import pytest

from flows.steps.live_metrics import compare
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.evaluation import (
    LEVELS,
    EvaluationResult,
    MeasuredRows,
    Resampled,
)
from transforms.contract.steps.monitoring import LabelsResult, TargetLabels

PIPELINE = parse(
    {
        "name": "flats",
        "source": {"path": "data", "key": "id"},
        "features": {"area": {"kind": "numeric"}},
        "targets": {"price": {"kind": "numeric", "metrics": ["mae", "r2"]}},
    }
)


def _measured(split: str, rows: int, error: float, **metrics: float) -> MeasuredRows:
    normal = np.array([-2.576, -2.326, -1.96, -1.645, -1.282, -0.674, 0])
    normal = np.concatenate([normal, -normal[-2::-1]])
    assert len(normal) == len(LEVELS)
    return MeasuredRows(
        rows=rows,
        metrics={f"{split}_price_{name}": value for name, value in metrics.items()},
        resampled={
            f"{split}_price_{name}": Resampled(quantiles=tuple(value + error * normal))
            for name, value in metrics.items()
        },
    )


def _compared(rows: int, error: float, labelled: int = 400, **live: float):
    labels = LabelsResult(
        answered=rows,
        other_versions=0,
        keyless=0,
        repeated=0,
        unlabelled=0,
        joined=rows,
        targets={"price": TargetLabels(labelled=rows, missing=0, invalid=0, unknown=0)},
    )
    test = _measured("test", 400, 0.03, mae=1.0, r2=0.8)
    test = test.model_copy(update={"labelled": {"price": labelled}})
    evaluation = EvaluationResult(metrics=test.metrics, rows=400, test=test)
    return compare(PIPELINE, labels, _measured("live", rows, error, **live), evaluation)


def test_a_metric_is_worse_in_its_own_direction_and_beyond_chance():
    metrics = _compared(400, 0.03, mae=1.2, r2=1.0)
    low, high = metrics["price_mae"].interval
    # Two metrics share one chance in a hundred: 2.807 errors of 0.0424 on either side.
    assert (low, high) == pytest.approx((0.2 - 0.1191, 0.2 + 0.1191), abs=1e-3)
    assert metrics["price_mae"].is_worse
    assert not metrics["price_r2"].is_worse, "a higher one is better"
    assert not _compared(400, 0.03, mae=1.1, r2=0.75)["price_mae"].is_worse
    assert _compared(400, 0.03, mae=1.0, r2=0.6)["price_r2"].is_worse


def test_few_rows_that_are_all_alike_are_as_uncertain_as_that_many_test_rows():
    low, high = _compared(100, 0.0, mae=1.15, r2=0.8)["price_mae"].interval
    assert (high - low) / 2 == pytest.approx(2.807 * np.hypot(0.03, 0.06), abs=1e-3)


def test_test_rows_without_a_label_make_live_rows_no_less_certain():
    low, high = _compared(100, 0.0, labelled=100, mae=1.15, r2=0.8)["price_mae"].interval
    assert (high - low) / 2 == pytest.approx(2.807 * np.hypot(0.03, 0.03), abs=1e-3)


def test_without_intervals_of_the_test_rows_metrics_are_shown_beside_theirs():
    labels = LabelsResult(
        answered=100, other_versions=0, keyless=0, repeated=0, unlabelled=0, joined=100,
        targets={"price": TargetLabels(labelled=100, missing=0, invalid=0, unknown=0)},
    )  # fmt: skip
    evaluation = EvaluationResult(metrics={"test_price_mae": 1.0}, rows=400)
    live = _measured("live", 100, 0.1, mae=9.0)
    metric = compare(PIPELINE, labels, live, evaluation)["price_mae"]
    assert (metric.live, metric.test, metric.interval) == (9.0, 1.0, None)


def test_too_few_rows_are_shown_and_not_judged():
    metric = _compared(29, 0.01, mae=9.0, r2=0.0)["price_mae"]
    assert (metric.live, metric.test, metric.interval, metric.is_worse) == (9.0, 1.0, None, False)
