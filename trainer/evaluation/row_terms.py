"""All that the metrics of a split need of its rows, for metrics of other weights or of fewer rows.

B batch, N rows with a label, K numbers that a metric needs of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from trainer.network.scores import Additive, Score
from transforms.contract.declaration.pipeline import PipelineSpec

MOST_BYTES = 1024**3


@dataclass(frozen=True)
class Measure:
    """A metric with all that it needs of its rows.

    Attributes:
        name: Such as "test_sold_auc".
        score: Computes it.
        rows: The numbers of the rows in the split, int64 [N].
        terms: float64 [N, K].
    """

    name: str
    score: Score
    rows: np.ndarray
    terms: np.ndarray


class RowTerms:
    """Collects what every metric needs of every row; 8 bytes a number.

    Where that is more than fits, only the losses are kept.

    Args:
        pipeline: The declaration.
        most_bytes: How much may be kept for the metrics.
    """

    def __init__(self, pipeline: PipelineSpec, most_bytes: int = MOST_BYTES) -> None:
        self._pipeline = pipeline
        self._most_bytes, self._bytes = most_bytes, 0
        self._rows: dict[str, list[np.ndarray]] = {}
        self._losses: dict[str, list[np.ndarray]] = {}
        self._terms: dict[tuple[str, str], list[np.ndarray]] = {}
        self._scores: dict[tuple[str, str], Score] = {}
        self._seen = 0

    def begin(self, rows: int) -> None:
        """Begins a batch of so many rows; `add` then takes each target's."""
        self._seen += rows

    def add(
        self,
        target: str,
        labelled_B: np.ndarray,
        losses: np.ndarray,
        scores: Mapping[str, Score],
        truth: np.ndarray,
        answers: Mapping[str, np.ndarray],
    ) -> None:
        """Adds a target's part of the batch.

        Args:
            target: Its name.
            labelled_B: Which rows have a label; the rest is of these alone.
            losses: Their losses.
            scores: The target's metrics.
            truth: As metrics take it.
            answers: The prediction that each metric takes.
        """
        first = self._seen - len(labelled_B)
        self._rows.setdefault(target, []).append(first + np.flatnonzero(labelled_B))
        self._losses.setdefault(target, []).append(losses)
        for metric, score in scores.items() if not self.is_too_large else ():
            self._scores[target, metric] = score
            terms = score.terms(truth, answers[metric])
            self._terms.setdefault((target, metric), []).append(terms)
            self._bytes += terms.nbytes
        if self.is_too_large:
            self._terms.clear()

    @property
    def is_too_large(self) -> bool:
        """Whether the metrics need more than fits, and have none of it."""
        return self._bytes > self._most_bytes

    def measures(self, split: str) -> dict[str, Measure]:
        """Returns every metric by its name, and the loss if all targets were predicted."""
        return {measure.name: measure for measure in self._measures(split)}

    def labelled(self) -> dict[str, int]:
        """Returns how many rows have a label, of every target."""
        return {target: sum(map(len, rows)) for target, rows in self._rows.items()}

    def losses(self) -> np.ndarray:
        """Returns every row's loss, that of its targets added up by their weights, float64 [N]."""
        total = np.zeros(self._seen)
        for target, losses in self._losses.items():
            weight = self._pipeline.targets[target].loss_weight
            total[np.concatenate(self._rows[target])] += weight * np.concatenate(losses)
        return total

    def _measures(self, split: str) -> Iterator[Measure]:
        if self._seen and set(self._losses) == set(self._pipeline.targets):
            rows = np.arange(self._seen)
            terms_N2 = np.stack([self.losses(), np.ones(self._seen)], axis=1)
            yield Measure(f"{split}_loss", _MEAN_LOSS, rows, terms_N2)
        for (target, metric), terms in self._terms.items():
            rows = np.concatenate(self._rows[target])
            score = self._scores[target, metric]
            yield Measure(f"{split}_{target}_{metric}", score, rows, np.concatenate(terms))


_MEAN_LOSS = Additive(lambda losses, _: losses, lambda sums: sums[..., 0] / sums[..., 1])
