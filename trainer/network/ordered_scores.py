"""Metrics that need all rows at once, in an order; each says how much memory a row takes.

B batch, N rows, M probabilities of a row, T of all rows, R replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from trainer.network.scores import absolute_error


class Ranked:
    """A metric of the order in which probabilities put the rows; 5 bytes a probability.

    Args:
        of: From how many positives and negatives there are, as far as the probability is one of
            the first, second, ... highest ones, [different probabilities] each, to the metric; NaN
            where it is not defined.
    """

    def __init__(self, of: Callable[[np.ndarray, np.ndarray], float]) -> None:
        self._of = of
        self._probabilities: list[np.ndarray] = []
        self._truths: list[np.ndarray] = []

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows."""
        self._probabilities.append(prediction.astype(np.float32).ravel())
        self._truths.append((truth > 0).ravel())

    def result(self) -> float | None:
        """Returns the metric; None if it is not defined."""
        if not any(map(len, self._truths)):
            return None
        probabilities, truths = np.concatenate(self._probabilities), np.concatenate(self._truths)
        if np.isnan(probabilities).any():
            return math.nan
        order, last = _falling(probabilities)
        positives = np.cumsum(truths[order])[last]
        value = _defined(self._of, positives, last + 1 - positives)
        return None if math.isnan(value) else value

    def terms(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Returns the probabilities of every row, then the truths, [B, 2 M]."""
        shape = (len(truth), math.prod(truth.shape[1:]))
        pair = (prediction.astype(np.float32).reshape(shape), (truth > 0).reshape(shape))
        return np.concatenate(pair, axis=1, dtype=np.float64)

    def weighted(self, terms_NK: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
        """Returns the metric of weighted rows."""
        probabilities_T, truths_T = (half.ravel() for half in np.split(terms_NK, 2, axis=1))
        if np.isnan(probabilities_T).any():
            return np.full(len(weights_RN), np.nan)
        order, last = _falling(probabilities_T)
        rows_T, truths_T = order // (terms_NK.shape[1] // 2), truths_T[order]
        has_ties = len(last) < len(order)
        # One replicate at a time: what it needs then stays in the processor's cache.
        values = []
        for weights_N in weights_RN:
            weights_T = weights_N.take(rows_T)
            positives = np.cumsum(weights_T * truths_T)
            negatives = np.cumsum(weights_T) - positives
            if has_ties:
                positives, negatives = positives[last], negatives[last]
            values.append(_defined(self._of, positives, negatives))
        return np.array(values, np.float64)


def _falling(probabilities_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the order of falling probabilities, and the last place of every different one."""
    order = np.argsort(probabilities_T)[::-1]
    falling = probabilities_T[order]
    # Equal probabilities put no row before another: they are one step.
    return order, np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)


def _defined(
    of: Callable[[np.ndarray, np.ndarray], float], positives: np.ndarray, negatives: np.ndarray
) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return of(positives, negatives)


def roc_auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Returns the chance that a positive row is put before a negative one; a tie is half of it.

    Hanley and McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic
    (ROC) Curve", 1982.
    """
    pairs = 2.0 * float(positives[-1]) * float(negatives[-1])
    if not pairs:
        return math.nan
    first = float(negatives[0]) * float(positives[0])
    added, before_and_after = np.diff(negatives), positives[1:] + positives[:-1]
    return float((first + np.einsum("n,n->", added, before_and_after)) / pairs)


def average_precision(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Returns the sum over the thresholds of the precision times the recall gained.

    Without interpolation, as in Pedregosa et al., "Scikit-learn: Machine Learning in Python", 2011.
    """
    if not positives[-1]:
        return math.nan
    gained = np.diff(positives, prepend=0) / positives[-1]
    # A threshold that only rows without weight reach gains nothing.
    return float((gained * positives / np.maximum(positives + negatives, 1)).sum())


class MedianAbsoluteError:
    """The middle one of all distances; 4 bytes a number."""

    def __init__(self) -> None:
        self._errors: list[np.ndarray] = []

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows."""
        self._errors.append(absolute_error(truth, prediction).astype(np.float32).ravel())

    def result(self) -> float | None:
        """Returns the median; None without rows."""
        errors = np.concatenate([*self._errors, np.zeros(0, np.float32)])
        return float(np.median(errors)) if len(errors) else None

    def terms(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Returns the distances of every row, [B, M]."""
        return absolute_error(truth, prediction).reshape(len(truth), math.prod(truth.shape[1:]))

    def weighted(self, terms_NK: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
        """Returns the median of weighted rows."""
        errors_T = terms_NK.ravel()
        order = np.argsort(errors_T)
        rows_T, rising_T = order // terms_NK.shape[1], errors_T[order]
        medians = []
        for weights_N in weights_RN:
            counted_T = np.cumsum(weights_N[rows_T])
            if not counted_T[-1]:
                medians.append(np.nan)
                continue
            middle = (counted_T[-1] - 1) / 2
            places = np.searchsorted(counted_T, [math.floor(middle), math.ceil(middle)], "right")
            medians.append(rising_T[places].mean())
        return np.array(medians)
