"""Slices: the test rows that have something in common, by their raw columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainer.data.shards import ShardFile
from trainer.data.stream import raw_batches
from trainer.export.export import parse_examples
from transforms.contract.columns.features import RawColumn
from transforms.contract.declaration.judgement.evaluation import SLICE_PARTS, EvaluationSpec
from transforms.contract.workspace.manifest import TransformManifest

FEWEST_ROWS = 30  # fewer say next to nothing, and would be the worst slice for no reason
_MOST_VALUES = 12
_LONGEST_LABEL = 60
_BATCH_ROWS = 1_024

How = int | Literal["values", "length"]


@dataclass(frozen=True)
class Slice:
    """Some of the test rows.

    Attributes:
        feature: By which they are told apart.
        label: What they have of it.
        rows: Their numbers among the test rows, int64.
    """

    feature: str
    label: str
    rows: np.ndarray


def find_slices(
    declared: EvaluationSpec, manifest: TransformManifest, raw: Sequence[ShardFile]
) -> list[Slice]:
    """Returns every declared slice with at least `FEWEST_ROWS` rows.

    Of a category these are its most frequent values, twelve at most.

    Args:
        declared: What rows are told apart by.
        manifest: Where the features' raw columns stand.
        raw: The raw test shards.
    """
    columns = {name: _raw_column(name, manifest) for name, _ in declared.cuts()}
    present = {raw_column.name: raw_column for raw_column in columns.values() if raw_column}
    if not present:
        return []
    values = _values(list(present.values()), raw)
    return [
        Slice(name, label, rows)
        for name, how in declared.cuts()
        if (column := columns[name]) is not None
        for label, rows in cut(values[column.name], how)
        if len(rows) >= FEWEST_ROWS
    ]


def _raw_column(name: str, manifest: TransformManifest) -> RawColumn | None:
    """Returns the input of a feature, also of one that the model does not take."""
    if name in manifest.raw_features:
        return manifest.raw_features[name]
    return next((raw for raw in manifest.unused if raw.name == name), None)


def _values(columns: Sequence[RawColumn], raw: Sequence[ShardFile]) -> dict[str, np.ndarray]:
    parts: dict[str, list[np.ndarray]] = {column.name: [] for column in columns}
    for records in raw_batches(raw, _BATCH_ROWS):
        parsed = parse_examples(records, columns)
        for name, values in parts.items():
            values.append(parsed[name].numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


def cut(values: np.ndarray, how: How) -> Iterator[tuple[str, np.ndarray]]:
    """Yields label and rows of each part of a column's values."""
    if how == "values":
        yield from _by_value(values)
    elif how == "length":
        lengths = np.array([len(text.decode(errors="replace")) for text in values], np.float64)
        yield from _by_bounds(lengths, SLICE_PARTS, " characters")
    else:
        yield from _by_bounds(values.astype(np.float64), how, "")


def _by_value(values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    for index in np.argsort(-counts, kind="stable")[:_MOST_VALUES]:
        text = distinct[index].decode(errors="replace")
        label = f"is {text[:_LONGEST_LABEL]}" if text else "is missing"
        yield label, np.flatnonzero(inverse == index)


def _by_bounds(numbers: np.ndarray, parts: int, unit: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yields parts with about as many rows in each; equal numbers are in one part."""
    missing = ~np.isfinite(numbers)  # the model takes infinite ones for missing too
    if not missing.all():
        inner = np.unique(np.quantile(numbers[~missing], np.arange(1, parts) / parts))
        part_of = np.searchsorted(inner, numbers, side="left")
        for part in range(len(inner) + 1):
            words = _bounds(inner, part) + unit
            yield words, np.flatnonzero((part_of == part) & ~missing)
    if missing.any():
        yield "is missing", np.flatnonzero(missing)


def _bounds(inner: np.ndarray, part: int) -> str:
    if part == 0:
        return f"up to {inner[0]:,.4g}"
    if part == len(inner):
        return f"above {inner[-1]:,.4g}"
    return f"above {inner[part - 1]:,.4g} up to {inner[part]:,.4g}"
