"""Metrics as sums over batches, exact in double precision. B batch, C classes.

Predictions and truths come in batches as `Head.predictions` and `Head.in_unit` give them. What
needs all rows at once says how much memory a row takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Arrays = Mapping[str, np.ndarray]

LIKELY = 0.5  # from this probability on the answer is "yes"
_LEAST_PROBABILITY = 1e-7  # as Keras has it, so that the loss of a sure mistake is finite


class Score(Protocol):
    """A metric that adds up batches."""

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows with a label."""
        ...

    def result(self) -> float | None:
        """Returns the metric; None if it is not defined on these rows."""
        ...


class Mean:
    """The mean of a quantity.

    Args:
        terms: From truth and prediction to the quantity, of any shape; what it leaves out does not
            count.
        finish: What becomes of the mean.
    """

    def __init__(
        self,
        terms: Callable[[np.ndarray, np.ndarray], np.ndarray],
        finish: Callable[[float], float] = float,
    ) -> None:
        self._terms = terms
        self._finish = finish
        self._sum, self._count = 0.0, 0

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows."""
        terms = self._terms(truth, prediction)
        self._sum += float(terms.sum(dtype=np.float64))
        self._count += terms.size

    def result(self) -> float | None:
        """Returns the mean; None without a term."""
        return self._finish(self._sum / self._count) if self._count else None


def absolute_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the distance of every number."""
    return np.asarray(np.abs(_difference(truth, prediction)))


def squared_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the square of every distance."""
    return _difference(truth, prediction) ** 2


def relative_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the distance of every number as a share of it, [those that are not 0]."""
    some = truth != 0
    return np.asarray(np.abs(_difference(truth[some], prediction[some]) / truth[some]))


def agrees(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns whether the likelier of yes and no is true."""
    return np.asarray((prediction >= LIKELY) == (truth > 0))


def binary_log_loss(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the negative log of the probability that what is true has."""
    probability = prediction.astype(np.float64)
    return _negative_log(np.where(truth > 0, probability, 1 - probability))


def class_log_loss(truth_B: np.ndarray, prediction_BC: np.ndarray) -> np.ndarray:
    """Returns the negative log of the true class's probability, [B]."""
    return _negative_log(prediction_BC[np.arange(len(truth_B)), truth_B].astype(np.float64))


def is_among(most: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Returns what tells whether the true class is one of the `most` likeliest, bool [B].

    Of two equally likely classes the first one counts as the likelier, as in the served label.
    """

    def terms(truth_B: np.ndarray, prediction_BC: np.ndarray) -> np.ndarray:
        own_B1 = prediction_BC[np.arange(len(truth_B)), truth_B][:, np.newaxis]
        later_BC = np.arange(prediction_BC.shape[1]) > truth_B[:, np.newaxis]
        behind_BC = (prediction_BC < own_B1) | ((prediction_BC == own_B1) & later_BC)
        return np.asarray(prediction_BC.shape[1] - 1 - behind_BC.sum(axis=1) < most)

    return terms


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


class R2:
    """The share of the truths' variance that the predictions explain, 1 at most.

    Of a list or a series what is explained and the variance, each about its position's own mean,
    are added up over all positions.
    """

    def __init__(self) -> None:
        self._count = 0
        self._error = 0.0
        self._mean, self._squares = np.zeros(1), np.zeros(1)
        self._low, self._high = np.array([np.inf]), np.array([-np.inf])

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows.

        Variances are joined as by Chan, Golub and LeVeque, "Updating Formulae and a Pairwise
        Algorithm for Computing Sample Variances", 1979.
        """
        if not len(truth):
            return
        self._error += float(squared_error(truth, prediction).sum())
        numbers = truth.reshape(len(truth), -1).astype(np.float64)
        mean = numbers.mean(axis=0)
        count = self._count + len(numbers)
        distance, share = mean - self._mean, len(numbers) / count
        squares = ((numbers - mean) ** 2).sum(axis=0)
        self._squares = self._squares + squares + distance**2 * self._count * share
        self._mean = self._mean + distance * share
        self._low = np.minimum(self._low, numbers.min(axis=0))
        self._high = np.maximum(self._high, numbers.max(axis=0))
        self._count = count

    def result(self) -> float | None:
        """Returns the share; None if no position's truths differ."""
        varied = self._high > self._low  # a constant has a variance too, by rounding
        return 1 - self._error / float(self._squares[varied].sum()) if varied.any() else None


@dataclass(frozen=True)
class Counts:
    """The numbers of right and wrong answers of yes and no."""

    true_positives: int
    false_positives: int
    false_negatives: int


class Counted:
    """A metric of how often yes was right and wrong.

    Args:
        of: The metric.
    """

    def __init__(self, of: Callable[[Counts], float | None]) -> None:
        self._of = of
        self._counts = Counts(0, 0, 0)

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows."""
        yes, said = truth > 0, prediction >= LIKELY
        self._counts = Counts(
            self._counts.true_positives + int((yes & said).sum()),
            self._counts.false_positives + int((~yes & said).sum()),
            self._counts.false_negatives + int((yes & ~said).sum()),
        )

    def result(self) -> float | None:
        """Returns the metric; None if it is not defined."""
        return self._of(self._counts)


def precision(counts: Counts) -> float | None:
    """Returns the share of true ones among what is called yes; 0 if nothing is, though some are."""
    said = counts.true_positives + counts.false_positives
    if said:
        return counts.true_positives / said
    return 0.0 if counts.false_negatives else None


def recall(counts: Counts) -> float | None:
    """Returns the share of what is called yes among the true ones."""
    positives = counts.true_positives + counts.false_negatives
    return counts.true_positives / positives if positives else None


def f1(counts: Counts) -> float | None:
    """Returns the harmonic mean of precision and recall."""
    double = 2 * counts.true_positives
    total = double + counts.false_positives + counts.false_negatives
    return double / total if total else None


class MacroF1:
    """The mean of the F1 of every class that the rows have."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, 0), np.int64)  # right, rows of the class, called it

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds class ids [B] and probabilities [B, C]."""
        classes, said = prediction.shape[1], prediction.argmax(axis=1)
        counted = (truth[truth == said], truth, said)
        counts = np.stack([np.bincount(ids, minlength=classes) for ids in counted])
        self._counts = counts + (self._counts if self._counts.size else 0)

    def result(self) -> float | None:
        """Returns the mean; None without rows."""
        right, rows, said = self._counts[:, self._counts[1] > 0]
        return float((2 * right / (rows + said)).mean()) if rows.size else None


class CalibrationError:
    """The distance of probabilities from the shares that come true, on average over the rows.

    Rows are put into 15 bins of equal width by their probability: Guo et al., "On Calibration of
    Modern Neural Networks", 2017. Of several classes it is the likeliest one's probability, and how
    often that one is right.
    """

    _BINS = 15

    def __init__(self) -> None:
        self._promised = np.zeros(self._BINS)
        self._kept = np.zeros(self._BINS)
        self._count = 0

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows: 0 and 1 beside probabilities of that shape, or class ids [B] beside [B, C]."""
        promised, came_true = prediction.ravel(), (truth > 0).ravel()
        if prediction.ndim == truth.ndim + 1:
            promised, came_true = prediction.max(axis=1), prediction.argmax(axis=1) == truth
        promised = promised.astype(np.float64)
        bins = np.minimum((promised * self._BINS).astype(int), self._BINS - 1)
        self._promised += np.bincount(bins, promised, minlength=self._BINS)
        self._kept += np.bincount(bins, came_true, minlength=self._BINS)
        self._count += promised.size

    def result(self) -> float | None:
        """Returns the mean distance; None without rows."""
        if not self._count:
            return None
        return float(np.abs(self._promised - self._kept).sum() / self._count)


class Ranked:
    """A metric of the order in which probabilities put the rows; 5 bytes a probability.

    Args:
        of: From how many positives and negatives there are, as far as the probability is one of
            the first, second, ... highest ones, int64 [different probabilities] each, to the
            metric.
    """

    def __init__(self, of: Callable[[np.ndarray, np.ndarray], float | None]) -> None:
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
        order = np.argsort(probabilities)[::-1]
        falling, positives = probabilities[order], np.cumsum(truths[order])
        # Equal probabilities put no row before another: they are one step.
        last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
        return self._of(positives[last], last + 1 - positives[last])


def roc_auc(positives: np.ndarray, negatives: np.ndarray) -> float | None:
    """Returns the chance that a positive row is put before a negative one; a tie is half of it.

    Hanley and McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic
    (ROC) Curve", 1982.
    """
    total = int(positives[-1]) * int(negatives[-1])
    if not total:
        return None
    before = np.concatenate([[0], positives[:-1]])
    added = np.diff(negatives, prepend=0)
    return float((added * ((before + positives) / 2)).sum() / total)


def average_precision(positives: np.ndarray, negatives: np.ndarray) -> float | None:
    """Returns the sum over the thresholds of the precision times the recall gained.

    Without interpolation, as in Pedregosa et al., "Scikit-learn: Machine Learning in Python", 2011.
    """
    if not positives[-1]:
        return None
    gained = np.diff(positives, prepend=0) / positives[-1]
    return float((gained * positives / (positives + negatives)).sum())


def _difference(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.asarray(prediction.astype(np.float64) - truth)


def _negative_log(probability: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log(np.clip(probability, _LEAST_PROBABILITY, 1.0)))
