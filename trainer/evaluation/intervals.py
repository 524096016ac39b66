"""Intervals: the distance that a metric of few rows may have from that of many."""

from __future__ import annotations

import math
from collections.abc import Mapping

from transforms.contract.declaration.pipeline import PipelineSpec

_Z = 1.96  # 95 % of a normal distribution
_ENOUGH_ROWS = 100  # an accuracy is within 0.1 of the truth then
_SHARES = ("accuracy", "top_3_accuracy")  # metrics that are a share of the rows


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval of a share of rows.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927: also for
    few rows, and shares of 0 and 1.
    """
    spread = _Z * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    middle, whole = share + _Z**2 / (2 * rows), 1 + _Z**2 / rows
    return (middle - spread) / whole, (middle + spread) / whole


def few_rows(pipeline: PipelineSpec, metrics: Mapping[str, float], rows: int) -> str | None:
    """Returns a sentence if validation has too few rows to choose a model by, else None.

    Args:
        pipeline: The declaration.
        metrics: The model's, by name: the first share of rows among them gets its interval.
        rows: Validation rows.
    """
    if not 0 < rows < _ENOUGH_ROWS:
        return None
    names = [
        f"validation_{target}_{metric}"
        for target, spec in pipeline.targets.items()
        for metric in spec.metrics
        if metric in _SHARES
    ]
    name = next((name for name in names if name in metrics), None)
    if name is None:
        return f"Validation has {rows} rows: too few to choose an epoch or a model by."
    low, high = wilson(metrics[name], rows)
    return (
        f"Validation has {rows} rows: a {name} of {metrics[name]:.2f} on them lies between "
        f"{low:.2f} and {high:.2f} with 95 % confidence."
    )
