"""Whether two samples are of one distribution: a test that may be asked every day.

Its p-values are small by chance as rarely as they say, also for few rows; `alarms` shares out one
chance of a false alarm among all that is tested.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import tensorflow as tf

from transforms.statistics.drift_distance import Outcomes

_N = TypeVar("_N")  # a name, or several parts of one

_FEWEST_EXPECTED = 5.0  # rows of an outcome, below which chi-square's approximation is too coarse


def p_value(left: Outcomes, right: Outcomes, *, ordered: bool) -> float:
    """Returns how likely samples as different as these are if both are of one distribution.

    The smallest p-value of several tests, times their number (Bonferroni): Pearson's chi-square of
    the outcomes, the exact test of the rows without a value, and that of the outcomes that are too
    rare for the first; of numbers also Wilcoxon's rank sum, with its correction for ties, which
    finds a shift in half as many rows (Lehmann, "Nonparametrics", 1975).

    Args:
        left: One sample.
        right: The other one. A row is one draw, however many terms it has.
        ordered: Whether the outcomes are intervals of numbers, from the lowest to the greatest.
    """
    first, second = _draws(left), _draws(right)
    tests = [_exact(left.missing, left.rows, right.missing, right.rows)]
    if first.sum() and second.sum():
        common = _is_common(first, second)
        tests.append(_chi_square(first[common], second[common]))
        if ordered:
            tests.append(_rank_sum(first, second))
        elif not common.all():
            rare = ~common
            tests.append(_exact(first[rare].sum(), first.sum(), second[rare].sum(), second.sum()))
    return min(1.0, len(tests) * min(tests))


def alarms(p_values: Mapping[_N, float], chance: float) -> list[_N]:
    """Returns what differs, so that anything at all is named by chance this rarely.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.

    Args:
        p_values: By name.
        chance: Of one false alarm or more where nothing differs.
    """
    ranked = sorted(p_values.items(), key=lambda item: item[1])
    named = []
    for place, (name, p) in enumerate(ranked):
        if p > chance / (len(ranked) - place):
            break
        named.append(name)
    return named


def _draws(sample: Outcomes) -> np.ndarray:
    """Returns the rows with a value by outcome, float64 [outcomes]."""
    counts = np.asarray(sample.counts, float)
    rows = sample.rows - sample.missing
    total = counts.sum()
    return counts * min(1.0, rows / total) if total else counts


def _is_common(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    totals = np.array([first.sum(), second.sum()])
    return np.asarray((first + second) * totals.min() / totals.sum() >= _FEWEST_EXPECTED)


def _chi_square(first: np.ndarray, second: np.ndarray) -> float:
    both = first + second
    totals = np.array([[first.sum()], [second.sum()]])
    freedom = len(both) - 1
    if freedom < 1 or not totals.all():
        return 1.0
    expected = totals * both / both.sum()
    statistic = float(((np.stack([first, second]) - expected) ** 2 / expected).sum())
    return float(tf.math.igammac(tf.constant(freedom / 2, tf.float64), statistic / 2))


def _rank_sum(first: np.ndarray, second: np.ndarray) -> float:
    ties = first + second
    n, m = first.sum(), second.sum()
    total = n + m
    ranks = np.cumsum(ties) - ties + (ties + 1) / 2
    distance = (second * ranks).sum() - m * (total + 1) / 2
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * max(total - 1, 1)))
    return math.erfc(abs(distance) / math.sqrt(2 * variance)) if variance > 0 else 1.0


def _exact(first: float, first_rows: float, second: float, second_rows: float) -> float:
    """Returns twice the smaller tail of the hypergeometric distribution: Fisher's exact test."""
    hits, rows = round(first) + round(second), round(first_rows) + round(second_rows)
    draws, observed = round(second_rows), round(second)
    low, high = max(0, draws - (rows - hits)), min(hits, draws)
    if low == high:
        return 1.0
    chosen = np.arange(low, high + 1)
    logs = _choices(hits, chosen) + _choices(rows - hits, draws - chosen)
    shares = np.exp(logs - logs.max())
    shares /= shares.sum()
    tails = shares[chosen <= observed].sum(), shares[chosen >= observed].sum()
    return float(min(1.0, 2 * min(tails)))


def _choices(total: int, chosen: np.ndarray) -> np.ndarray:
    """Returns the logarithms of binomial coefficients."""
    parts = (tf.math.lgamma(tf.constant(x + 1.0, tf.float64)) for x in (chosen, total - chosen))
    taken, left = (part.numpy() for part in parts)
    return np.asarray(math.lgamma(total + 1) - taken - left)
