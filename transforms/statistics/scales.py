"""The scale that a target's numbers are learnt on: the declared one, or what the rows propose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from transforms.contract.columns.targets import NumberScale
from transforms.contract.workspace.manifest import TargetStatistics

SMALLEST_DEVIATION = 1e-12  # below it a column is constant, and is divided by 1 instead

# A squared error on a log scale aims at the median, not at the mean. That is what is wanted where
# the spread grows with the level, as that of prices does, and costs much where it does not. So the
# numbers have to be well beyond "highly skewed", 1 in Bulmer, "Principles of Statistics", 1979, and
# the log must not turn the skewness round: of an exponential distribution, or of counts that begin
# at 0, it leaves a long tail of small numbers, of a log-normal one nothing.
_HIGHLY_SKEWED = 1.25
_LEFT_BY_LOG = (-0.1, 0.5)  # of the skewness
_QUANTILES = 100  # as many as a numeric feature's, by default

Moments = Mapping[str, list[float]]


def target_scale(
    declared: NumberScale | None, moments: Moments, sample: np.ndarray
) -> TargetStatistics:
    """Returns the scale of a target's numbers.

    Args:
        declared: The declared scale; None leaves it to the training rows.
        moments: Of every column over all training rows: count, mean, deviation, minimum, maximum.
        sample: Some of the training rows, float32 [rows, width]; NaN is missing.
    """
    columns = [column[~np.isnan(column)].astype(np.float64) for column in sample.T]
    scale = declared or _proposed(moments, columns)
    if scale == "none":
        return TargetStatistics()
    if scale == "log":
        return _log(moments, columns)
    linear = TargetStatistics(mean=tuple(moments["mean"]), scale=tuple(moments["deviation"]))
    return linear if scale == "z_score" else _with_quantiles(linear, moments, columns)


def divisors(deviations: np.ndarray) -> np.ndarray:
    """Returns what numbers are divided by: their standard deviation, or 1 if they are constant."""
    return np.where(deviations < SMALLEST_DEVIATION, 1.0, deviations)


def _proposed(moments: Moments, columns: list[np.ndarray]) -> NumberScale:
    """Returns "log" if it makes much skewed numbers markedly more even, else "z_score".

    The skewness of a list or a series is the mean of its columns'. What chance explains is two
    standard errors of the skewness of as many normal numbers.
    """
    varied = [column for column in columns if len(column) and np.ptp(column) > 0]
    if not varied or min(moments["minimum"]) <= 0:
        return "z_score"
    skewness = float(np.mean([_skewness(column) for column in varied]))
    left = float(np.mean([_skewness(np.log1p(column)) for column in varied]))
    chance = 2 * math.sqrt(6 / min(map(len, varied)))
    is_even = _LEFT_BY_LOG[0] * skewness <= left <= _LEFT_BY_LOG[1] * skewness
    return "log" if skewness - chance > _HIGHLY_SKEWED and is_even else "z_score"


def _skewness(values: np.ndarray) -> float:
    distances = values - values.mean()
    return float((distances**3).mean() / (distances**2).mean() ** 1.5)


def _log(moments: Moments, columns: list[np.ndarray]) -> TargetStatistics:
    logs = [_symmetric_log(column) for column in columns]
    mean = np.array([column.mean() if len(column) else 0.0 for column in logs])
    scale = divisors(np.array([column.std() if len(column) else 0.0 for column in logs]))
    ends = np.array([moments["minimum"], moments["maximum"]])
    scores = (_symmetric_log(ends) - mean) / scale
    return TargetStatistics(
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        curve="log",
        knots=_by_column(ends.T),
        scores=_by_column(scores.T),
    )


def _symmetric_log(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _with_quantiles(
    linear: TargetStatistics, moments: Moments, columns: list[np.ndarray]
) -> TargetStatistics:
    knots, scores = np.zeros((2, len(columns), _QUANTILES + 1))
    ends = zip(moments["count"], moments["minimum"], moments["maximum"], strict=True)
    for index, (column, (count, low, high)) in enumerate(zip(columns, ends, strict=True)):
        values, ranks = _quantiles(column, low, high, count)
        # Columns share a tensor: one with fewer knots repeats its last one.
        last = len(values) - 1
        places = np.minimum(np.arange(_QUANTILES + 1), last)
        knots[index] = values[places]
        scores[index] = np.array([NormalDist().inv_cdf(rank) for rank in ranks])[places]
    return linear.model_copy(
        update={"curve": "quantile", "knots": _by_column(knots), "scores": _by_column(scores)}
    )


def _quantiles(
    column: np.ndarray, low: float, high: float, count: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns rising numbers from the least to the greatest, and the rank of each.

    A number that several ranks share has the middle of them. The ends have the middle rank of one
    row, or of a part if there are fewer rows than parts.
    """
    end = 0.5 / max(count, _QUANTILES)
    inner = np.arange(1, _QUANTILES) / _QUANTILES
    between = np.quantile(column, inner) if len(column) else np.full(len(inner), low)
    ranks = np.array([end, *inner, 1 - end])
    values, first, times = np.unique([low, *between, high], return_index=True, return_counts=True)
    return values, (ranks[first] + ranks[first + times - 1]) / 2


def _by_column(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, values.tolist()))
