"""The figures by which Braid and its baselines are judged alike, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Literal

import numpy as np
from sklearn import metrics

from tests.benchmarks.quality_tables import Task

Verdict = Literal["ahead", "at or above", "within tolerance", "below"]
_ROUNDING = 1e-9  # the mean of equal figures may differ from them by as much


@dataclass(frozen=True)
class Metric:
    """A figure of predictions.

    Attributes:
        compute: From the truth and the predictions of the test rows, both [rows]. The prediction
            of a binary target is the probability of yes, of any other the label or the number.
        tolerance: By how much a model may be worse than its baseline without having lost to it;
            None for a figure that decides nothing.
        lower_is_better: Whether it is an error.
    """

    compute: Callable[[np.ndarray, np.ndarray], float]
    tolerance: float | None = None
    lower_is_better: bool = False


def _thresholded_accuracy(truth: np.ndarray, probability: np.ndarray) -> float:
    return metrics.accuracy_score(truth, probability >= 0.5)


METRICS: Mapping[Task, Mapping[str, Metric]] = {
    "binary": {
        "auc": Metric(metrics.roc_auc_score, tolerance=0.005),
        "average_precision": Metric(metrics.average_precision_score),
        "accuracy": Metric(_thresholded_accuracy, tolerance=0.02),
    },
    "multiclass": {"accuracy": Metric(metrics.accuracy_score, tolerance=0.02)},
    "numeric": {
        "r2": Metric(metrics.r2_score, tolerance=0.02),
        "rmse": Metric(metrics.root_mean_squared_error, lower_is_better=True),
        "mape": Metric(
            metrics.mean_absolute_percentage_error, tolerance=0.02, lower_is_better=True
        ),
    },
}


def figures(task: Task, truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Returns every metric of a task, by its name."""
    return {name: float(m.compute(truth, prediction)) for name, m in METRICS[task].items()}


@dataclass(frozen=True)
class Comparison:
    """A model's figure, from several seeds, beside its baseline's.

    Attributes:
        mean: Over the seeds.
        spread: The highest seed's figure less the lowest's.
        difference: The mean less the baseline; of an error the other way round, so that more is
            always better.
        verdict: "ahead" is a difference of more than the spread, which one seed does not have.
    """

    mean: float
    spread: float
    difference: float
    verdict: Verdict


def compare(metric: Metric, seeds: Sequence[float], baseline: float) -> Comparison:
    """Compares the seeds' figures of a metric that has a tolerance with the baseline's."""
    average, spread = mean(seeds), max(seeds) - min(seeds)
    difference = baseline - average if metric.lower_is_better else average - baseline
    return Comparison(
        average,
        spread,
        difference,
        _verdict(difference, spread if len(seeds) > 1 else math.inf, metric),
    )


def _verdict(difference: float, spread: float, metric: Metric) -> Verdict:
    if difference > spread + _ROUNDING:
        return "ahead"
    if difference >= -_ROUNDING:
        return "at or above"
    return "within tolerance" if difference >= -(metric.tolerance or 0) - _ROUNDING else "below"
