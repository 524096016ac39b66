"""The meaning of a metric's value: the one place that knows a metric's direction and range."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        lower_is_better: Whether a smaller value is the better one.
        is_share: Whether it lies between 0 and 1.
    """

    lower_is_better: bool
    is_share: bool


_ERROR = Metric(lower_is_better=True, is_share=False)
_SHARE = Metric(lower_is_better=False, is_share=True)
_GAIN = Metric(lower_is_better=False, is_share=False)

METRICS: dict[str, Metric] = {
    **dict.fromkeys(("loss", "log_loss", "calibration_error"), _ERROR),
    **dict.fromkeys(("mae", "mse", "rmse", "mape", "median_absolute_error"), _ERROR),
    **dict.fromkeys(("auc", "average_precision", "precision", "recall", "f1"), _SHARE),
    **dict.fromkeys(("accuracy", "top_3_accuracy", "top_5_accuracy"), _SHARE),
    "within_spread": _SHARE,
    **dict.fromkeys(("iou", "mean_iou", "dice"), _SHARE),
    **dict.fromkeys(("r2", "psnr"), _GAIN),
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
