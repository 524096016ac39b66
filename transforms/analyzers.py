"""One analyzer for all vocabularies and one for all moments, whatever the number of columns.

TFT's own analyzers are one branch of the Beam graph per column and count terms in Python; these
count in Arrow and NumPy, a batch at a time, and keep the number of Beam stages constant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import tensorflow_transform as tft

from transforms.contract.workspace import write_atomic
from transforms.requests import Fitted, Moments, MomentsRequest, Request, VocabularyRequest

_COMPACT_ROWS = 500_000  # counted terms that wait to be merged; about 20 MB of short terms
_NO_TERM = b"\x00"  # the only line of an empty vocabulary, as a lookup table needs one
_LINE_BREAK = "[\n\r]"  # a vocabulary file has one term a line, so that such a term is unknown
_SMALLEST_DEVIATION = 1e-12  # below it a column is constant, and is divided by 1 instead


def fit(requests: Iterable[Request], folder: Path) -> Fitted:
    """Adds the analyzers of all requests to the preprocessing function that is being traced.

    Args:
        requests: What the kinds ask for.
        folder: Where vocabularies and moments are written for people and for the manifest.
    """
    requests = tuple(requests)
    vocabularies = [r for r in requests if isinstance(r, VocabularyRequest)]
    moments = [r for r in requests if isinstance(r, MomentsRequest)]
    return Fitted(
        vocabularies=_fit_vocabularies(vocabularies, folder) if vocabularies else {},
        moments=_fit_moments(moments, folder) if moments else {},
    )


def vocabulary_path(folder: Path, name: str) -> Path:
    """Returns where a vocabulary lies: one term a line, most frequent first."""
    return folder / "vocabularies" / f"{name}.txt"


def counts_path(folder: Path, name: str) -> Path:
    """Returns where the counts of a vocabulary's terms lie, in the same order."""
    return folder / "vocabularies" / f"{name}.counts.json"


def moments_path(folder: Path) -> Path:
    """Returns where the moments of all columns lie."""
    return folder / "moments.json"


def _fit_vocabularies(
    requests: Sequence[VocabularyRequest], folder: Path
) -> Mapping[str, tf.Tensor]:
    limits = [(r.name, r.size, r.minimum_count) for r in requests]
    files = tft.experimental.ptransform_analyzer(
        inputs=[request.values for request in requests],
        ptransform=_Vocabularies(limits, folder),
        output_dtypes=[tf.string] * len(requests),
        output_shapes=[[]] * len(requests),
        output_asset_default_values=[_NO_TERM] * len(requests),
        name="vocabularies",
    )
    return {request.name: file for request, file in zip(requests, files, strict=True)}


def _fit_moments(requests: Sequence[MomentsRequest], folder: Path) -> Mapping[str, Moments]:
    flat = [request for request in requests if request.values.shape.rank == 2]
    series = [request for request in requests if request.values.shape.rank == 3]
    requests = [*flat, *series]
    widths = [int(request.values.shape[-1]) for request in requests]
    names = [request.name for request in requests]
    # One array for all flat columns, however many; a series has rows of its own, one a step.
    inputs = [tf.concat([request.values for request in flat], axis=1)] if flat else []
    inputs += [tf.reshape(r.values, [-1, int(r.values.shape[-1])]) for r in series]
    (table,) = tft.experimental.ptransform_analyzer(
        inputs=inputs,
        ptransform=_Moments(list(zip(names, widths, strict=True)), folder),
        output_dtypes=[tf.float32],
        output_shapes=[[4, sum(widths)]],
        name="moments",
    )
    parts = tf.split(table, widths, axis=1)
    return {
        name: Moments(part[0], part[1], part[2], part[3])
        for name, part in zip(names, parts, strict=True)
    }


class CountTerms(beam.CombineFn):  # type: ignore[misc]
    """Counts the terms of several columns.

    An accumulator is one Arrow table (column, term, count) and the batches that were counted but
    not merged into it yet.
    """

    def create_accumulator(self) -> list[pa.Table]:
        """Returns no table."""
        return []

    def add_input(
        self, accumulator: list[pa.Table], batch: tuple[np.ndarray, ...]
    ) -> list[pa.Table]:
        """Counts one batch: a tuple of bytes objects [any], one array a column."""
        for column, values in enumerate(batch):
            counted = pa.array(values.ravel(), pa.binary()).value_counts()
            terms, counts = counted.field("values"), counted.field("counts")
            index = pa.repeat(pa.scalar(column, pa.int32()), len(terms))
            accumulator.append(pa.table({"column": index, "term": terms, "count": counts}))
        return _compacted(accumulator, _COMPACT_ROWS)

    def merge_accumulators(self, accumulators: Iterable[list[pa.Table]]) -> list[pa.Table]:
        """Joins accumulators."""
        merged: list[pa.Table] = []
        for accumulator in accumulators:
            merged = _compacted(merged + accumulator, _COMPACT_ROWS)
        return merged

    def compact(self, accumulator: list[pa.Table]) -> list[pa.Table]:
        """Merges what was counted, before it travels."""
        return _compacted(accumulator, 0)

    def extract_output(self, accumulator: list[pa.Table]) -> pa.Table:
        """Returns one table (column, term, count)."""
        merged = _compacted(accumulator, 0)
        return merged[0] if merged else _EMPTY_COUNTS


_EMPTY_COUNTS = pa.table(
    {
        "column": pa.array([], pa.int32()),
        "term": pa.array([], pa.binary()),
        "count": pa.array([], pa.int64()),
    }
)


def _compacted(tables: list[pa.Table], waiting_rows: int) -> list[pa.Table]:
    """Merges the tables once more rows wait than the limit and than are merged already."""
    if len(tables) < 2:
        return tables
    waiting = sum(table.num_rows for table in tables[1:])
    if waiting <= max(waiting_rows, tables[0].num_rows if waiting_rows else 0):
        return tables
    joined = pa.concat_tables(tables)
    merged = joined.group_by(["column", "term"], use_threads=False).aggregate([("count", "sum")])
    return [merged.rename_columns({"count_sum": "count"}).select(["column", "term", "count"])]


class _Vocabularies(beam.PTransform):  # type: ignore[misc]
    """Counts every column's terms and writes one vocabulary file a column."""

    def __init__(self, limits: list[tuple[str, int, int]], folder: Path) -> None:
        super().__init__()
        self._limits = limits
        self._folder = folder

    def expand(self, batches: Any) -> Any:
        """Returns one collection a column, with the path of its vocabulary."""
        counts = batches | "CountTerms" >> beam.CombineGlobally(CountTerms())
        return tuple(
            counts | f"Write[{limit[0]}]" >> beam.Map(_write_vocabulary, i, limit, self._folder)
            for i, limit in enumerate(self._limits)
        )


def _write_vocabulary(
    counts: pa.Table, column: int, limit: tuple[str, int, int], folder: Path
) -> np.ndarray:
    """Writes the most frequent terms of a column; equal counts are in the order of the bytes."""
    name, size, minimum_count = limit
    kept = counts.filter((pc.field("column") == column) & (pc.field("count") >= minimum_count))
    usable = pc.and_(
        pc.greater(pc.binary_length(kept["term"]), 0),
        pc.invert(pc.match_substring_regex(kept["term"], _LINE_BREAK)),
    )
    kept = kept.filter(usable).sort_by([("count", "descending"), ("term", "ascending")])[:size]
    terms = kept["term"].to_pylist() or [_NO_TERM]
    path = vocabulary_path(folder, name)
    write_atomic(path, b"".join(term + b"\n" for term in terms))
    write_atomic(counts_path(folder, name), json.dumps(kept["count"].to_pylist() or [0]))
    return np.array(str(path))


class SumMoments(beam.CombineFn):  # type: ignore[misc]
    """Count, mean, sum of squared distances, minimum and maximum of every column, in float64.

    Batches are joined by Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances", 1979. An accumulator is float64 [6, width], the last row counting
    missing values, or None before the first batch.
    """

    def create_accumulator(self) -> np.ndarray | None:
        """Returns nothing counted yet."""
        return None

    def add_input(
        self, accumulator: np.ndarray | None, batch: tuple[np.ndarray, ...]
    ) -> np.ndarray | None:
        """Adds one batch, a tuple of float32 [any, width] of some columns each; NaN is missing."""
        return _joined(accumulator, np.concatenate([_sums(values) for values in batch], axis=1))

    def merge_accumulators(self, accumulators: Iterable[np.ndarray | None]) -> np.ndarray | None:
        """Joins accumulators."""
        merged: np.ndarray | None = None
        for accumulator in accumulators:
            merged = _joined(merged, accumulator)
        return merged

    def extract_output(self, accumulator: np.ndarray | None) -> np.ndarray | None:
        """Returns the accumulator."""
        return accumulator


def _sums(values: np.ndarray) -> np.ndarray:
    """Returns the accumulator of one array alone."""
    values = values.astype(np.float64)
    present = ~np.isnan(values)
    count = present.sum(axis=0)
    mean = np.divide(np.nansum(values, axis=0), count, out=np.zeros(len(count)), where=count > 0)
    squares = np.nansum((values - mean) ** 2, axis=0)
    low = np.where(present, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(present, values, -np.inf).max(axis=0, initial=-np.inf)
    return np.stack([count, mean, squares, low, high, len(values) - count])


def _joined(left: np.ndarray | None, right: np.ndarray | None) -> np.ndarray | None:
    if left is None or right is None:
        return right if left is None else left
    count = left[0] + right[0]
    share = np.divide(right[0], count, out=np.zeros(len(count)), where=count > 0)
    distance = right[1] - left[1]
    squares = left[2] + right[2] + distance**2 * left[0] * share
    low, high = np.minimum(left[3], right[3]), np.maximum(left[4], right[4])
    return np.stack([count, left[1] + distance * share, squares, low, high, left[5] + right[5]])


class _Moments(beam.PTransform):  # type: ignore[misc]
    """Computes every column's moments and writes them beside the vocabularies."""

    def __init__(self, columns: list[tuple[str, int]], folder: Path) -> None:
        super().__init__()
        self._columns = columns
        self._folder = folder

    def expand(self, batches: Any) -> Any:
        """Returns a collection of one float32 [4, width]: mean, deviation, minimum, maximum."""
        return (
            batches
            | "SumMoments" >> beam.CombineGlobally(SumMoments())
            | "Finish" >> beam.Map(_finish_moments, self._columns, self._folder)
        )


def _finish_moments(
    sums: np.ndarray | None, columns: list[tuple[str, int]], folder: Path
) -> np.ndarray:
    width = sum(columns_width for _, columns_width in columns)
    if sums is None:
        sums = np.zeros([6, width])
    count, mean, squares, low, high, missing = sums
    variance = np.divide(squares, count, out=np.zeros(width), where=count > 0)
    deviation = np.sqrt(variance)
    deviation[deviation < _SMALLEST_DEVIATION] = 1.0
    low, high = np.where(count > 0, low, 0.0), np.where(count > 0, high, 0.0)
    rows = {"count": count, "missing": missing, "mean": mean}
    rows |= {"deviation": deviation, "minimum": low, "maximum": high}
    start, summary = 0, {}
    for name, size in columns:
        part = slice(start, start + size)
        summary[name] = {key: values[part].tolist() for key, values in rows.items()}
        start += size
    write_atomic(moments_path(folder), json.dumps(summary))
    return np.stack([mean, deviation, low, high]).astype(np.float32)
