"""The distribution of every column by split, of a sample of the source's rows."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from transforms.contract.columns.features import RawColumn
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import SPLITS
from transforms.contract.steps.jobs import declaration_of_table
from transforms.contract.workspace.partition import Partition
from transforms.reading.batches import BatchReader
from transforms.source.formats import Piece, pieces
from transforms.source.scan import open_filesystem
from transforms.source.units import WorkUnit

ROWS = 10_000  # make a share of a tenth known to a hundredth of all
FROZEN = "frozen"
_MOST_PIECES = 16
_BINS = 24
_MOST_VALUES = 8
_EDGES = (0.005, 0.995)  # of the numbers; one far away would leave one bar
_LARGEST_WHOLE = 2.0**50  # up to where a float holds every half between whole numbers
_DAYS_OF_A_YEAR = 365.2425
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Distribution:
    """The values of a column, as shares of the rows of each group.

    Attributes:
        column: The column, or the features' input that is made of several.
        words: What the kind is, and what is shown of it.
        edges: Of the bins of numbers, lengths or years; empty for values.
        values: The most frequent values; empty for numbers.
        shares: By group the share of each bin or value.
        missing: By group the share of the rows without a value.
    """

    column: str
    words: str
    edges: tuple[float, ...]
    values: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]
    missing: dict[str, float]


def distributions(
    pipeline: PipelineSpec, partitions: Sequence[Partition], frozen: Container[str]
) -> tuple[list[Distribution], int]:
    """Returns the distribution of every column that may be shown, and of how many rows it is.

    The groups are the splits, and beside them, if the transform was frozen on some partitions only,
    the training rows of these. Pictures have none.

    Args:
        pipeline: The declaration.
        partitions: The partitions that train.
        frozen: The names of those that the transform was frozen on.

    Raises:
        BraidError: The source cannot be read.
    """
    if not partitions:
        return [], 0
    kinds = {raw.name: (kind, raw) for kind, raw in _columns(pipeline)}
    sample = _Sample(declaration_of_table(pipeline, partitions), set(kinds))
    for partition, piece in _spread(list(_pieces(pipeline, partitions)), _MOST_PIECES):
        sample.read(partition, piece, partition.name in frozen)
    if not sample.rows:
        return [], 0
    groups = sample.groups(any(partition.name not in frozen for partition in partitions))
    shown = [
        _distribution(kind, raw, sample.values(name), groups) for name, (kind, raw) in kinds.items()
    ]
    return shown, sample.rows


def _columns(pipeline: PipelineSpec) -> Iterator[tuple[str, RawColumn]]:
    hidden = pipeline.sensitive_columns()
    declared = {**pipeline.column_features(), **pipeline.targets}
    for name, raw in {**pipeline.raw_features(), **pipeline.raw_targets()}.items():
        if raw.dtype != "bytes" and not hidden.intersection(raw.columns):
            yield declared[name].kind, raw


def _pieces(
    pipeline: PipelineSpec, partitions: Sequence[Partition]
) -> Iterator[tuple[Partition, Piece]]:
    source = declaration_of_table(pipeline, partitions).source
    filesystem, _ = open_filesystem(source.path)
    files = [(partition, file) for partition in partitions for file in partition.files]
    for partition, file in _spread(files, _MOST_PIECES):
        for piece in pieces(source.format, filesystem, file.path, file.size):
            yield partition, piece


def _spread(items: Sequence[_Item], most: int) -> list[_Item]:
    """Returns at most so many items, evenly from the first to the last."""
    if len(items) <= most:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, most)]


class _Sample:
    def __init__(self, pipeline: PipelineSpec, names: set[str]) -> None:
        self._reader = BatchReader(pipeline, names)
        self._parts: list[tuple[Mapping[str, np.ndarray], np.ndarray, bool]] = []

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(len(splits) for _, splits, _ in self._parts)

    def read(self, partition: Partition, piece: Piece, is_frozen: bool) -> None:
        """Reads the first rows of a piece."""
        unit = WorkUnit(partition.name, partition.value, 0, (piece,))
        batch = next(self._reader.read(unit, ROWS // _MOST_PIECES), None)
        if batch is not None:
            self._parts.append((batch.columns, batch.splits, is_frozen))

    def values(self, name: str) -> np.ndarray:
        """Returns a column's values, [rows, ...]."""
        return np.concatenate([columns[name] for columns, _, _ in self._parts])

    def groups(self, with_frozen: bool) -> dict[str, np.ndarray]:
        """Returns the rows of every group, bool [rows]."""
        splits = np.concatenate([own for _, own, _ in self._parts])
        groups: dict[str, np.ndarray] = {name: splits == n for n, name in enumerate(SPLITS)}
        if with_frozen:
            frozen = np.concatenate(
                [np.full(len(own), is_frozen) for _, own, is_frozen in self._parts]
            )
            groups[FROZEN] = frozen & groups[SPLITS[0]]
        return {name: rows for name, rows in groups.items() if rows.any()}


def _distribution(
    kind: str, raw: RawColumn, values: np.ndarray, groups: Mapping[str, np.ndarray]
) -> Distribution:
    flat = values.reshape(len(values), -1)
    present = ~np.isnan(flat) if raw.dtype == "float32" else flat != b""
    missing = {name: float(1 - present[rows].any(axis=1).mean()) for name, rows in groups.items()}
    if raw.dtype == "float32" or kind in _NUMBERS:
        words, numbers_of = _NUMBERS.get(kind, (kind, _as_they_are))
        numbers = {name: numbers_of(flat[rows][present[rows]]) for name, rows in groups.items()}
        edges, shares = _bins(numbers)
        return Distribution(raw.name, words, edges, (), shares, missing)
    texts = {name: flat[rows][present[rows]] for name, rows in groups.items()}
    labels, shares = _frequent(texts)
    return Distribution(raw.name, kind, (), labels, shares, missing)


def _as_they_are(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)


def _lengths(texts: np.ndarray) -> np.ndarray:
    return np.array([len(text.decode(errors="replace")) for text in texts], np.float64)


def _years(texts: np.ndarray) -> np.ndarray:
    moments = [text.decode(errors="replace").removesuffix("Z")[:26] for text in texts]
    days = []
    for moment in moments:
        try:
            days.append(np.datetime64(moment.partition("+")[0], "s").astype(np.int64) / 86_400)
        except ValueError:  # the transform counts it among the invalid ones
            continue
    return 1970 + np.array(days, np.float64) / _DAYS_OF_A_YEAR


# Of texts, what of them is a number.
_NUMBERS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "text": ("text, by characters", _lengths),
    "datetime": ("datetime, by year", _years),
}


def _bins(
    numbers: Mapping[str, np.ndarray],
) -> tuple[tuple[float, ...], dict[str, tuple[float, ...]]]:
    everything = np.concatenate([*numbers.values(), np.zeros(0)])
    everything = everything[np.isfinite(everything)]
    if not len(everything):
        return (), {}
    low, high = np.quantile(everything, _EDGES)
    size = max(abs(low), abs(high))
    is_whole = size < _LARGEST_WHOLE and (everything == np.round(everything)).all()
    if is_whole and high - low < 2 * _BINS:
        step = np.ceil((high - low + 1) / _BINS)
        edges = np.arange(np.floor(low), np.ceil(high) + 1 + step, step) - 0.5
    else:
        # The edges are to be apart also where all is one number, however large.
        edges = np.linspace(low, high if high > low else low + max(1.0, size * 1e-6), _BINS + 1)
    shares = {}
    for name, own in numbers.items():
        counts, _ = np.histogram(np.clip(own, edges[0], edges[-1]), edges)
        shares[name] = tuple((counts / max(len(own), 1)).tolist())
    return tuple(edges.tolist()), shares


def _frequent(
    texts: Mapping[str, np.ndarray],
) -> tuple[tuple[str, ...], dict[str, tuple[float, ...]]]:
    everything = np.concatenate([*texts.values(), np.zeros(0, object)])
    values, counts = np.unique(everything.astype(object), return_counts=True)
    chosen = values[np.argsort(-counts, kind="stable")[:_MOST_VALUES]]
    labels = [value.decode(errors="replace") for value in chosen]
    shares = {}
    for name, own in texts.items():
        fractions = [float((own == value).sum()) / max(len(own), 1) for value in chosen]
        shares[name] = (
            (*fractions, max(0.0, 1 - sum(fractions)))
            if len(values) > len(chosen)
            else (*fractions,)
        )
    if len(values) > len(chosen):
        labels.append(f"{len(values) - len(chosen):,} others")
    return tuple(labels), shares
