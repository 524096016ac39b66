"""The reference of new rows: the rows that a transform was frozen on, by their outcomes.

It lies beside the frozen statistics, so that a distance costs the new partitions only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.contract.columns.numbers import LARGEST_FLOAT32
from transforms.contract.workspace.documents import read_object
from transforms.contract.workspace.drift import Distance
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import REFERENCE_FILE
from transforms.statistics.accumulators import Accumulated
from transforms.statistics.drift_distance import Outcomes, by_chance, jensen_shannon
from transforms.statistics.frozen import read_counts, read_vocabulary

_DECILES = np.linspace(0.1, 0.9, 9)

Pairs = list[tuple[Outcomes, Outcomes]]


def write_reference(total: Accumulated, folder: Path) -> None:
    """Writes what the frozen rows look like.

    Args:
        total: What they add up to.
        folder: Where their frozen statistics lie.
    """
    terms = {
        name: {"rows": total.rows, "missing": missing, "others": _others(total, folder, name)}
        for name, missing in sorted(total.missing.items())
    }
    numbers = {
        name: [_position(column) for column in values.T]
        for name, values in sorted(total.sample.columns.items())
        if name not in terms
    }
    write_atomic(folder / REFERENCE_FILE, json.dumps({"terms": terms, "numbers": numbers}))


def distances(folder: Path, new: Accumulated) -> dict[str, Distance]:
    """Returns how far new rows are from the frozen ones, for each feature and target.

    Terms are those of the frozen vocabulary, and all others are one outcome. Numbers lie between
    the frozen rows' deciles; a value that several deciles share is an outcome of its own. Of a list
    or a series the positions' or channels' divergences are averaged.

    Args:
        folder: Where the frozen statistics lie.
        new: What the new rows add up to.
    """
    return {
        name: _distance(pairs)
        for name, _, pairs in sample_pairs(folder, new)
        if all(sample.rows for pair in pairs for sample in pair)
    }


def sample_pairs(folder: Path, new: Accumulated) -> Iterator[tuple[str, bool, Pairs]]:
    """Yields of every feature and target the frozen rows beside the new ones, by their outcomes.

    Args:
        folder: Where the frozen statistics lie.
        new: What the new rows add up to.

    Yields:
        The name, whether outcomes are intervals in their order, and the samples: a pair, or one for
        each position of a list or channel of a series.
    """
    reference = read_object(folder / REFERENCE_FILE, "terms", "numbers")
    for name, known in reference["terms"].items():
        counts = np.array([*read_counts(folder, name), known["others"]], float)
        new_counts = np.array([*_term_counts(new, folder, name), _others(new, folder, name)], float)
        frozen = Outcomes(known["rows"], known["missing"], counts)
        yield name, False, [(frozen, Outcomes(new.rows, new.missing[name], new_counts))]
    for name, positions in reference["numbers"].items():
        values = new.sample.columns.get(name, np.zeros((0, len(positions)), np.float32))
        yield (
            name,
            True,
            [
                (
                    Outcomes(p["rows"], p["missing"], np.array(p["counts"], float)),
                    binned(np.array(p["edges"], np.float32), column),
                )
                for p, column in zip(positions, values.T, strict=True)
            ],
        )


def _distance(pairs: Pairs) -> Distance:
    measured = [jensen_shannon(left.shares(), right.shares()) for left, right in pairs]
    chance = [by_chance(left, right, parts=len(pairs)) for left, right in pairs]
    total, explained = float(np.mean(measured)), float(np.mean(chance))
    return Distance(
        distance=math.sqrt(max(0.0, total - explained)),
        measured=math.sqrt(total),
        chance=math.sqrt(explained),
    )


def _term_counts(total: Accumulated, folder: Path, name: str) -> np.ndarray:
    """Returns how often rows have each term of the frozen vocabulary, int64 [terms]."""
    counted = _counted(total, name)
    places = pc.index_in(pa.array(read_vocabulary(folder, name), pa.binary()), counted["term"])
    return np.asarray(pc.fill_null(counted["count"].take(places), 0).to_numpy())


def _others(total: Accumulated, folder: Path, name: str) -> int:
    """Returns how often rows have any other term."""
    all_of_them = pc.sum(_counted(total, name)["count"]).as_py() or 0
    return int(all_of_them - _term_counts(total, folder, name).sum())


def _counted(total: Accumulated, name: str) -> pa.Table:
    return total.counts(name).filter(pc.binary_length(pc.field("term")) > 0)


def _position(column: np.ndarray) -> dict[str, Any]:
    edges = edges_of(column)
    sample = binned(edges, column)
    return {
        "edges": edges.tolist(),
        "rows": sample.rows,
        "missing": sample.missing,
        "counts": sample.counts.tolist(),
    }


def edges_of(column: np.ndarray) -> np.ndarray:
    """Returns the deciles of numbers, float32 [any]; a value of several is an interval alone."""
    present = column[~np.isnan(column)]
    if not len(present):
        return np.zeros(0, np.float32)
    deciles = np.quantile(present, _DECILES, method="inverted_cdf").astype(np.float32)
    cuts, times = np.unique(deciles, return_counts=True)
    below = np.nextafter(cuts[times > 1], np.float32(-LARGEST_FLOAT32))
    return np.asarray(np.unique(np.concatenate([cuts, below])))


def binned(edges: np.ndarray, column: np.ndarray) -> Outcomes:
    """Returns numbers by the interval that they lie in; NaN is missing."""
    present = column[~np.isnan(column)]
    counts = np.bincount(np.searchsorted(edges, present), minlength=len(edges) + 1)
    return Outcomes(len(column), len(column) - len(present), counts.astype(float))
