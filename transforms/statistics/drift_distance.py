"""The distance of two samples, and the one at which chance alone puts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FEWEST_WAYS, _MOST_WAYS = 100, 1_000  # of dealing rows out again; the former take 0.3 s at most
_MOST_DEALT = 500_000  # outcomes times ways
_MOST_DRAWS = 100_000_000  # of one sample; more differ by nothing that can be seen


@dataclass(frozen=True)
class Outcomes:
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
    divergence = (_relative(left, middle) + _relative(right, middle)) / 2
    return np.asarray(np.clip(divergence, 0.0, 1.0))


def by_chance(left: Outcomes, right: Outcomes, *, parts: int = 1) -> float:
    """Returns the largest divergence of many ways to deal both samples' rows out again.

    If both came from one distribution, every way is as likely as the one that was found: a
    permutation test by Monte Carlo, as in Dwass, "Modified Randomization Tests for Nonparametric
    Hypotheses", 1957. A row is one draw however many terms it has, as those of one text depend on
    one another.

    Args:
        left: One sample.
        right: The other one.
        parts: How many such pairs there are, for the number of ways.
    """
    random = np.random.default_rng(0)  # so that the same rows are always judged alike
    left, right = _dealable(left), _dealable(right)
    rows = np.array([left.rows, right.rows])
    missing = np.array([left.missing, right.missing])
    counts = left.counts + right.counts
    ways = np.clip(_MOST_DEALT // (parts * len(counts)), _FEWEST_WAYS, _MOST_WAYS)
    largest = 0.0
    for _ in range(ways):
        lost = random.hypergeometric(missing.sum(), (rows - missing).sum(), rows[1])
        shares, pool = [], counts
        for total, without in ((rows[1], lost), (rows[0], missing.sum() - lost)):
            draws = min(int(total - without), int(pool.sum()))
            dealt = random.multivariate_hypergeometric(pool, draws, method="marginals")
            shares.append(Outcomes(int(total), int(without), dealt).shares())
            pool = pool - dealt
        largest = max(largest, float(jensen_shannon(*shares)))
    return largest


def _dealable(sample: Outcomes) -> Outcomes:
    """Returns a sample in whole numbers, of at most as many draws as can be dealt out."""
    scale = max(1.0, sample.rows / _MOST_DRAWS, sample.counts.sum() / _MOST_DRAWS)
    counts = np.round(sample.counts / scale).astype(np.int64)
    return Outcomes(round(sample.rows / scale), round(sample.missing / scale), counts)


def _relative(left: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Returns the Kullback-Leibler divergence in bits; what never occurs adds nothing."""
    ratio = np.divide(left, middle, out=np.ones(left.shape), where=left > 0)
    return np.asarray(np.sum(left * np.log2(ratio), axis=-1))
