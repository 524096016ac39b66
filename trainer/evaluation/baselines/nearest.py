"""The label of the most similar training row: a strong answer to which class a series has.

Cover and Hart, "Nearest Neighbor Pattern Classification", 1967. B rows, N neighbours, W numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.linear.answers import Link, answer_loss

MOST_NEIGHBOURS = 5_000  # every row is compared with each of them
# How much the neighbour's label counts beside the classes' shares. One neighbour may be wrong, and
# no probability of 0 or 1 survives that.
TRUSTS = (0.5, 0.8, 0.95)
_UNCHOSEN = 0.8  # without validation rows


@dataclass(frozen=True)
class NearestNeighbour:
    """One target's answer.

    Attributes:
        series: The neighbours, float32 [N, W].
        labels: Their classes, 0 and 1, float32 [N, K].
        trust: How much a label counts beside the classes' shares.
    """

    series: np.ndarray
    labels: np.ndarray
    trust: float

    def answers(self, series_BW: np.ndarray) -> np.ndarray:
        """Returns probabilities, float32 [B, K]."""
        # Of the squared distances, without what is the same for all neighbours.
        squares_N = np.einsum("nw,nw->n", self.series, self.series)
        distances_BN = squares_N - 2 * series_BW @ self.series.T
        labels_BK = self.labels[distances_BN.argmin(axis=1)]
        shares_K = self.labels.mean(axis=0)
        return np.asarray(self.trust * labels_BK + (1 - self.trust) * shares_K)


def fit_nearest(
    link: Link,
    series_BW: np.ndarray,
    labels_BK: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None,
) -> NearestNeighbour:
    """Returns the answer whose trust has the lowest loss on the validation rows.

    Args:
        link: What the classes are to each other.
        series_BW: float32, the training rows, of which `MOST_NEIGHBOURS` are kept at most.
        labels_BK: float32, their classes, 0 and 1.
        validation: The same two of the validation rows; without them the middle trust is taken.
    """
    # Evenly spaced: the rows come partition by partition.
    kept = np.linspace(0, len(series_BW), min(len(series_BW), MOST_NEIGHBOURS), endpoint=False)
    chosen = kept.astype(int)
    fitted = [NearestNeighbour(series_BW[chosen], labels_BK[chosen], trust) for trust in TRUSTS]
    if validation is None:
        return next(model for model in fitted if model.trust == _UNCHOSEN)
    series, labels = validation
    return min(fitted, key=lambda model: answer_loss(link, labels, model.answers(series)))
