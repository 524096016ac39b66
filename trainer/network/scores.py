"""Metrics as sums over rows, exact in double precision. B batch, N rows, C classes, R replicates.

Predictions and truths come in batches as `Head.predictions` and `Head.in_unit` give them.
`ordered_scores` has those that need all rows in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

Arrays = Mapping[str, np.ndarray]

# Metrics of yes and no, for which a threshold decides if there is one.
OF_DECISIONS = frozenset({"precision", "recall", "f1", "accuracy"})
LIKELY = 0.5  # from this probability on the answer is "yes"
_LEAST_PROBABILITY = 1e-7  # as Keras has it, so that the loss of a sure mistake is finite


class Score(Protocol):
    """A metric that adds up batches, and that can tell what it is of rows drawn anew."""

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows with a label."""
        ...

    def result(self) -> float | None:
        """Returns the metric; None if it is not defined on these rows."""
        ...

    def terms(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Returns all that the metric needs of each row, float64 [B, K]."""
        ...

    def weighted(self, terms_NK: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
        """Returns the metric of rows that count as often as weights say, float64 [R].

        It is NaN where it is not defined.
        """
        ...


class Additive:
    """A metric of sums over the rows.

    Args:
        terms: From truth and prediction to what every row adds, [B, K].
        of_sums: From sums, [..., K], to the metric, [...]; NaN where it is not defined.
    """

    def __init__(
        self,
        terms: Callable[[np.ndarray, np.ndarray], np.ndarray],
        of_sums: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._terms = terms
        self._of_sums = of_sums
        self._sums: np.ndarray | None = None

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows."""
        if not len(truth):
            return
        added = self.terms(truth, prediction).sum(axis=0)
        self._sums = added if self._sums is None else self._sums + added

    def result(self) -> float | None:
        """Returns the metric; None if it is not defined."""
        if self._sums is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(self._of_sums(self._sums))
        # NaN among what was added is a result.
        return None if math.isnan(value) and np.isfinite(self._sums).all() else value

    def terms(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Returns what every row adds."""
        return np.asarray(self._terms(truth, prediction), np.float64)

    def weighted(self, terms_NK: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
        """Returns the metric of weighted rows."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self._of_sums(weighted_sums(weights_RN, terms_NK)), np.float64)


def weighted_sums(weights_RN: np.ndarray, terms_NK: np.ndarray) -> np.ndarray:
    """Returns the sums of terms of which each counts as often as its row's weight, [R, K].

    BLAS does not do it: its own threads wait for each other in busy loops, beside those that the
    replicates are dealt out to. On two loaded cores that took ten times as long.
    """
    return np.stack([np.einsum("rn,n->r", weights_RN, own) for own in terms_NK.T], axis=1)


class Mean(Additive):
    """The mean of a quantity.

    Args:
        quantity: From truth and prediction to the quantity, [B, ...]; what is masked of it does
            not count.
        finish: What becomes of the mean.
    """

    def __init__(
        self,
        quantity: Callable[[np.ndarray, np.ndarray], np.ndarray],
        finish: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> None:
        super().__init__(
            lambda truth, prediction: sums_and_counts(quantity(truth, prediction)),
            lambda sums: finish(sums[..., 0] / sums[..., 1]),
        )


def sums_and_counts(values: np.ndarray) -> np.ndarray:
    """Returns the sum of every row's values and their number, those masked left out, [B, 2]."""
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    counts = np.full(len(flat), flat.shape[1])
    if isinstance(flat, np.ma.MaskedArray):
        counts, flat = np.ma.count(flat, axis=1), np.ma.filled(flat, 0)
    return np.stack([flat.sum(axis=1, dtype=np.float64), counts], axis=1)


def absolute_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the distance of every number."""
    return np.asarray(np.abs(_difference(truth, prediction)))


def squared_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the square of every distance."""
    return _difference(truth, prediction) ** 2


def relative_error(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the distance of every number as a share of it; of a 0 it is masked."""
    shares = absolute_error(truth, prediction) / np.where(truth == 0, 1, np.abs(truth))
    return np.ma.masked_array(shares, truth == 0)


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

    def terms(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Returns the squared error of every row, and its numbers."""
        errors = sums_and_counts(squared_error(truth, prediction))[:, :1]
        return np.concatenate([errors, truth.reshape(len(truth), -1)], axis=1)

    def weighted(self, terms_NK: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
        """Returns the share of weighted rows."""
        errors_N, numbers_NP = terms_NK[:, 0], terms_NK[:, 1:]
        varied = numbers_NP.max(axis=0) > numbers_NP.min(axis=0)
        # About the mean of all: squares of large numbers would hide small differences.
        numbers_NP = (numbers_NP - numbers_NP.mean(axis=0))[:, varied]
        count_R1 = weights_RN.sum(axis=1, keepdims=True)
        sums_RP = weighted_sums(weights_RN, numbers_NP)
        squares_RP = weighted_sums(weights_RN, numbers_NP**2) - sums_RP**2 / count_R1
        total_R = squares_RP.sum(axis=1)
        defined = total_R > 1e-12 * (numbers_NP**2).sum()
        error_R = weighted_sums(weights_RN, errors_N[:, np.newaxis])[:, 0]
        share_R = 1 - error_R / np.where(defined, total_R, 1)
        return np.where(defined, share_R, np.nan)


class Counted(Additive):
    """A metric of how often yes was right and wrong.

    Args:
        of: From true positives, false positives and false negatives, [..., 3], to the metric.
    """

    def __init__(self, of: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(_yes_right_and_wrong, of)


def _yes_right_and_wrong(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    yes, said = truth > 0, prediction >= LIKELY
    cases = (yes & said, ~yes & said, yes & ~said)
    return np.stack([sums_and_counts(case)[:, 0] for case in cases], axis=1)


def precision(counts: np.ndarray) -> np.ndarray:
    """Returns the share of true ones among what is called yes; 0 if nothing is, though some are."""
    right, wrong, missed = np.moveaxis(counts, -1, 0)
    said = right + wrong
    return np.where(said > 0, right / said, np.where(missed > 0, 0.0, np.nan))


def recall(counts: np.ndarray) -> np.ndarray:
    """Returns the share of what is called yes among the true ones."""
    right, _, missed = np.moveaxis(counts, -1, 0)
    return np.asarray(right / (right + missed))


def f1(counts: np.ndarray) -> np.ndarray:
    """Returns the harmonic mean of precision and recall."""
    right, wrong, missed = np.moveaxis(counts, -1, 0)
    return np.asarray(2 * right / (2 * right + wrong + missed))


class MacroF1:
    """The mean of the F1 of every class that the rows have."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, 0))  # right, rows of the class, called it

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds class ids [B] and probabilities [B, C]."""
        counts = _class_counts(self.terms(truth, prediction), prediction.shape[1], None)
        self._counts = counts + (self._counts if self._counts.size else 0)

    def result(self) -> float | None:
        """Returns the mean; None without rows."""
        return _macro_f1(self._counts) if self._counts[1].any() else None

    def terms(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Returns the class and the likeliest class of every row."""
        return np.stack([truth, prediction.argmax(axis=1)], axis=1).astype(np.float64)

    def weighted(self, terms_NK: np.ndarray, weights_RN: np.ndarray) -> np.ndarray:
        """Returns the mean of weighted rows."""
        classes = int(terms_NK.max()) + 1
        counts = (_class_counts(terms_NK, classes, weights_N) for weights_N in weights_RN)
        return np.array([_macro_f1(each) if each[1].any() else np.nan for each in counts])


def _class_counts(terms_N2: np.ndarray, classes: int, weights_N: np.ndarray | None) -> np.ndarray:
    truth_N, said_N = terms_N2.astype(np.int64).T
    right_N = (truth_N == said_N) * (1.0 if weights_N is None else weights_N)
    counted = ((truth_N, right_N), (truth_N, weights_N), (said_N, weights_N))
    return np.stack([np.bincount(ids, own, minlength=classes) for ids, own in counted])


def _macro_f1(counts: np.ndarray) -> float:
    right, rows, said = counts[:, counts[1] > 0]
    return float((2 * right / (rows + said)).mean())


class CalibrationError(Additive):
    """The distance of probabilities from the shares that come true, on average over the rows.

    Rows are put into 15 bins of equal width by their probability: Guo et al., "On Calibration of
    Modern Neural Networks", 2017. Of several classes it is the likeliest one's probability, and how
    often that one is right.
    """

    _BINS = 15

    def __init__(self) -> None:
        super().__init__(self._excess, _mean_distance)

    def _excess(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Returns by bin what is promised beyond what came true, and the number, [B, bins + 1].

        Args:
            truth: 0 and 1 beside probabilities of that shape, or class ids [B] beside [B, C].
            prediction: The probabilities.
        """
        rows = len(truth)
        promised, came_true = prediction, truth > 0
        if prediction.ndim == truth.ndim + 1:
            promised, came_true = prediction.max(axis=1), prediction.argmax(axis=1) == truth
        promised = promised.astype(np.float64).reshape(rows, math.prod(promised.shape[1:]))
        bins = np.minimum((promised * self._BINS).astype(int), self._BINS - 1)
        excess = np.zeros((rows, self._BINS + 1))
        places = (np.broadcast_to(np.arange(rows)[:, np.newaxis], bins.shape), bins)
        np.add.at(excess, places, promised - came_true.reshape(promised.shape))
        excess[:, -1] = promised.shape[1]
        return excess


def _mean_distance(sums: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1])


def _difference(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.asarray(prediction.astype(np.float64) - truth)


def _negative_log(probability: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log(np.clip(probability, _LEAST_PROBABILITY, 1.0)))
