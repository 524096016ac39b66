"""The meaning of a metric's value: the one place that knows a metric's direction and range."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        meaning: What it measures, in a phrase.
        lower_is_better: Whether a smaller value is the better one.
        is_share: Whether it lies between 0 and 1.
    """

    meaning: str
    lower_is_better: bool
    is_share: bool


_error = partial(Metric, lower_is_better=True, is_share=False)
_share = partial(Metric, lower_is_better=False, is_share=True)
_gain = partial(Metric, lower_is_better=False, is_share=False)

METRICS: dict[str, Metric] = {
    "loss": _error("What the training lowers: the losses of all targets by their weights"),
    "log_loss": _error("The negative log of the probability that what is true was given, a mean"),
    "calibration_error": _error(
        "How far probabilities are from the shares that come true, a mean over 15 bins: Guo "
        'et al., "On Calibration of Modern Neural Networks", 2017'
    ),
    "mae": _error("The mean absolute error, in the unit of the column or of the pixels"),
    "mse": _error("The mean squared error"),
    "rmse": _error("The root of the mean squared error, in the unit of the column"),
    "mape": _error("The mean absolute error as a share of the number, which is not 0"),
    "median_absolute_error": _error("The median of the absolute errors, in the unit of the column"),
    "auc": _share("The area under the ROC curve: how often a yes is ranked above a no"),
    "average_precision": _share("The area under the precision-recall curve, as a sum of steps"),
    "precision": _share("The share of true ones among what is called yes"),
    "recall": _share("The share of what is called yes among the true ones"),
    "f1": _share("The harmonic mean of precision and recall; of classes, the mean of theirs"),
    "accuracy": _share("The share of rows, labels or pixels that are right"),
    "top_3_accuracy": _share("The share of rows whose class is among the three likeliest"),
    "top_5_accuracy": _share("The share of rows whose class is among the five likeliest"),
    "within_spread": _share("The share of rows whose number lies within the answer's `spread`"),
    "iou": _share("The intersection of the masks over their union"),
    "mean_iou": _share("The same of every class of pixels, a mean"),
    "dice": _share("Twice the intersection of the masks over the sum of their sizes"),
    "r2": _gain("The share of the variance that is explained, 1 at most"),
    "psnr": _gain("The peak signal-to-noise ratio of pictures, in decibels"),
}


def metric_of(name: str) -> Metric:
    """Returns the metric that a name such as "test_price_rmse" ends in, the longest one.

    Raises:
        ValueError: It ends in none.
    """
    parts = name.split("_")
    for start in range(len(parts)):
        metric = METRICS.get("_".join(parts[start:]))
        if metric is not None:
            return metric
    raise ValueError(f"no metric is called {name!r}")


def is_better(metric: str, value: float, reference: float) -> bool:
    """Returns whether a metric's value beats the reference, by the metric's own direction."""
    return value < reference if metric_of(metric).lower_is_better else value > reference
