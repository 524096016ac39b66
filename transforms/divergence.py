"""How far two samples are apart, and how far chance alone puts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_WAYS = 100  # of dealing rows out: the largest divergence is the 99th percentile of chance
_MOST_DRAWS = 100_000_000  # of one sample; more differ by nothing that can be seen


@dataclass(frozen=True)
class Sample:
    """Rows by their outcome.

    Attributes:
        rows: How many there are.
        missing: Those without a value.
        counts: How often the others have each outcome, [outcomes]: a text has several a row.
    """

    rows: int
    missing: int
    counts: np.ndarray

    def shares(self) -> np.ndarray:
        """Returns the distribution, [outcomes + 1]: missing, then the others' share of the rest."""
        total, missing = self.counts.sum(), self.missing / max(self.rows, 1)
        present = self.counts / total if total else np.zeros(len(self.counts))
        return np.concatenate([[missing], present * (1 - missing)])


def jensen_shannon(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the Jensen-Shannon divergence in bits, [...], of distributions [..., outcomes].

    Lin, "Divergence Measures Based on the Shannon Entropy", 1991. It lies between 0 and 1, and its
    square root is a distance: Endres and Schindelin, "A New Metric for Probability Distributions",
    2003.
    """
    middle = (left + right) / 2
    found = (_relative(left, middle) + _relative(right, middle)) / 2
    return np.asarray(np.clip(found, 0.0, 1.0))


def by_chance(left: Sample, right: Sample) -> float:
    """Returns the largest divergence of many ways to deal both samples' rows out again.

    If both came from one distribution, every way is as likely as the one that was found: a
    permutation test by Monte Carlo, as in Dwass, "Modified Randomization Tests for Nonparametric
    Hypotheses", 1957. A row is one draw however many terms it has, as those of one text depend on
    one another.
    """
    random = np.random.default_rng(0)  # so that the same rows are always judged alike
    rows = np.array([left.rows, right.rows])
    missing = np.array([left.missing, right.missing])
    counts = _whole(left.counts) + _whole(right.counts)
    largest = 0.0
    for _ in range(_WAYS):
        lost = random.hypergeometric(missing.sum(), (rows - missing).sum(), rows[1])
        shares, pool = [], counts
        for total, without in ((rows[1], lost), (rows[0], missing.sum() - lost)):
            draws = min(int(total - without), int(pool.sum()))
            dealt = random.multivariate_hypergeometric(pool, draws, method="marginals")
            shares.append(Sample(int(total), int(without), dealt).shares())
            pool = pool - dealt
        largest = max(largest, float(jensen_shannon(*shares)))
    return largest


def _whole(counts: np.ndarray) -> np.ndarray:
    """Returns counts as whole numbers, of at most as many draws as can be dealt out."""
    scale = max(1.0, counts.sum() / _MOST_DRAWS)
    return np.asarray(np.round(counts / scale), np.int64)


def _relative(left: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Returns the Kullback-Leibler divergence in bits; what never occurs adds nothing."""
    ratio = np.divide(left, middle, out=np.ones(left.shape), where=left > 0)
    return np.asarray(np.sum(left * np.log2(ratio), axis=-1))
