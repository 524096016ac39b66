"""The bootstrap of the test rows: what chance makes of every metric, of all rows and of slices.

Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979: rows are drawn anew with
replacement, and each replicate's metrics are those of its rows. A replicate is how often it has
each row, so that all metrics, all slices, the model and the champion share it: the difference of
two models on the same replicate is the paired bootstrap of Efron and Tibshirani, "An Introduction
to the Bootstrap", 1993. N rows, R replicates of a block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.row_terms import Measure
from trainer.evaluation.slices import Slice
from transforms.contract.declaration.judgement.evaluation import EvaluationSpec
from transforms.contract.steps.evaluation import LEVELS, MeasuredRows, MeasuredSlice, Resampled

_BLOCK_BYTES = 32 * 1024 * 1024  # of the weights of the replicates that are worked on at a time
# Numbers that are added up in all replicates together: some minutes of two cores. Beyond it there
# are fewer replicates, which leave a wide interval's ends uncertain by a tenth of its width.
_MOST_NUMBERS = 30_000_000_000
FEWEST_REPLICATES = 100
_ALL = -1  # the number of the part that has all rows

Measures = Mapping[str, Measure]


@dataclass(frozen=True)
class _Value:
    """A metric of a part of the rows.

    Attributes:
        part: The slice's number, or `_ALL`.
        owner: Whose: "model" or "champion".
        measure: The metric, on the part's rows alone.
        of_part: Which of the part's rows it is of; None for all of them.
    """

    part: int
    owner: str
    measure: Measure
    of_part: np.ndarray | None

    def of(self, weights_RN: np.ndarray) -> np.ndarray:
        """Returns the metric of every replicate, given the weights of the part's rows."""
        weights = weights_RN if self.of_part is None else weights_RN[:, self.of_part]
        if not weights.shape[1]:
            return np.full(len(weights), np.nan)
        return self.measure.score.weighted(self.measure.terms, weights)


def resample(
    declared: EvaluationSpec,
    rows: int,
    model: Measures,
    champion: Measures,
    slices: Sequence[Slice],
    *,
    seed: int,
) -> tuple[MeasuredRows, tuple[MeasuredSlice, ...]]:
    """Returns the metrics of all test rows and of every slice, with what chance makes of them.

    Args:
        declared: How many replicates; none without `intervals`.
        rows: N.
        model: The model's metrics by name.
        champion: The champion's; empty if there is none.
        slices: The slices.
        seed: What replicates are drawn from.
    """
    parts = {_ALL: np.arange(rows)} | {n: own.rows for n, own in enumerate(slices)}
    values = [
        _on_part(number, owner, measure, chosen, rows)
        for number, chosen in parts.items()
        for owner, measures in (("model", model), ("champion", champion))
        for measure in measures.values()
    ]
    points = [float(value.of(np.ones((1, len(parts[value.part]))))[0]) for value in values]
    replicates = _replicates(declared, values, parts, rows, seed) if rows > 1 else None
    whole = _result(_ALL, rows, values, points, replicates)
    sliced = []
    for number, own in enumerate(slices):
        part = _result(number, len(own.rows), values, points, replicates)
        sliced.append(MeasuredSlice(feature=own.feature, label=own.label, **dict(part)))
    return whole, tuple(sliced)


def _on_part(number: int, owner: str, measure: Measure, chosen: np.ndarray, rows: int) -> _Value:
    places = np.full(rows, -1)
    places[measure.rows] = np.arange(len(measure.rows))
    own = places[chosen]
    labelled = own >= 0
    part = Measure(measure.name, measure.score, chosen[labelled], measure.terms[own[labelled]])
    return _Value(number, owner, part, None if labelled.all() else np.flatnonzero(labelled))


def _replicates(
    declared: EvaluationSpec,
    values: Sequence[_Value],
    parts: Mapping[int, np.ndarray],
    rows: int,
    seed: int,
) -> np.ndarray | None:
    """Returns every value of every replicate, [values, replicates]; None if none is wanted."""
    if declared.intervals is None:
        return None
    numbers = sum(value.measure.terms.size for value in values)
    replicates = min(declared.replicates, max(FEWEST_REPLICATES, _MOST_NUMBERS // max(numbers, 1)))
    size = max(1, min(replicates, _BLOCK_BYTES // (8 * rows)))
    sizes = [min(size, replicates - start) for start in range(0, replicates, size)]

    def block(number: int) -> np.ndarray:
        counts_RN = _draw(np.random.default_rng((seed, number)), sizes[number], rows)
        results_VR = np.empty((len(values), sizes[number]))
        for part, chosen in parts.items():
            weights_RN = (counts_RN if part == _ALL else counts_RN[:, chosen]).astype(np.float64)
            for index, value in enumerate(values):
                if value.part == part:
                    results_VR[index] = value.of(weights_RN)
        return results_VR

    # NumPy lets go of the interpreter in all that is heavy here.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(block, range(len(sizes)))), axis=1)


def _draw(random: np.random.Generator, replicates: int, rows: int) -> np.ndarray:
    """Returns how often each replicate has each row, uint16 [R, N]."""
    drawn = random.integers(0, rows, (replicates, rows), dtype=np.int32)
    return np.stack([np.bincount(own, minlength=rows) for own in drawn]).astype(np.uint16)


def _result(
    part: int,
    rows: int,
    values: Sequence[_Value],
    points: Sequence[float],
    replicates: np.ndarray | None,
) -> MeasuredRows:
    """Returns the metrics of a part, which has so many rows."""
    metrics: dict[str, dict[str, float]] = {"model": {}, "champion": {}}
    rows_of: dict[str, dict[str, np.ndarray]] = {"model": {}, "champion": {}}
    for index, value in enumerate(values):
        if value.part == part and not np.isnan(points[index]):
            metrics[value.owner][value.measure.name] = points[index]
            if replicates is not None:
                rows_of[value.owner][value.measure.name] = replicates[index]
    model, champion = rows_of["model"], rows_of["champion"]
    differences = {name: model[name] - champion[name] for name in model if name in champion}
    return MeasuredRows(
        rows=rows,
        metrics=metrics["model"],
        champion=metrics["champion"],
        resampled=dict(_summarized(model)),
        differences=dict(_summarized(differences)),
    )


def _summarized(replicates: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Resampled]]:
    """Yields what is kept of every metric's replicates, unless most of them do not define it."""
    for name, values in replicates.items():
        defined = values[np.isfinite(values)]
        if len(defined) * 2 > len(values):
            yield name, Resampled(quantiles=tuple(np.quantile(defined, LEVELS).tolist()))
