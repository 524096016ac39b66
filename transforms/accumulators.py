"""What the training rows of a partition add up to: statistics that can be merged.

An analysis keeps one file of them for each partition, so that the next one reads new partitions
only.
"""

from __future__ import annotations

import base64
import json
import pickle
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as paipc
from tfx_bsl.sketches import QuantilesSketch

from transforms.contract.workspace import replacing
from transforms.sampling import RowSample

_COMPACT_ROWS = 500_000  # counted terms that wait to be merged; about 20 MB of short terms
_QUANTILE_ERROR = 0.001  # of the rank, so that a boundary is off by a thousandth of the rows
_SKETCH_VALUES = 1 << 32  # as many as any table has rows
_DETAILS = b"braid"

_NO_TERMS = pa.table(
    {
        "name": pa.array([], pa.string()),
        "term": pa.array([], pa.binary()),
        "count": pa.array([], pa.int64()),
    }
)


@dataclass
class Accumulated:
    """Statistics of some training rows.

    Attributes:
        terms: Arrow tables (name, term, count) by what was counted: one that is merged, and those
            that are not merged into it yet.
        moments: Of every name float64 [6, width]: count, mean, sum of squared distances, minimum,
            maximum, missing values.
        sketches: Of every name what its quantiles are read from.
        sample: Some of the rows' numbers, of every name that has moments.
        missing: Rows without a value, of every name whose terms are counted.
        rows: Training rows.
        rejects: Rows of all splits that cannot be used, by "column: reason".
    """

    terms: list[pa.Table] = field(default_factory=list)
    moments: dict[str, np.ndarray] = field(default_factory=dict)
    sketches: dict[str, Any] = field(default_factory=dict)
    sample: RowSample = field(default_factory=RowSample)
    missing: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    rejects: Counter[str] = field(default_factory=Counter)

    def add_terms(self, name: str, values: np.ndarray) -> None:
        """Counts terms, bytes objects [any]."""
        counted = pa.array(values.ravel(), pa.binary()).value_counts()
        terms, counts = counted.field("values"), counted.field("counts")
        names = pa.repeat(pa.scalar(name), len(terms))
        self.terms.append(pa.table({"name": names, "term": terms, "count": counts}))
        self.terms = _compacted(self.terms, _COMPACT_ROWS)

    def add_moments(self, name: str, values: np.ndarray) -> None:
        """Adds numbers, float32 [any, width]; NaN is missing."""
        self.moments[name] = _joined(self.moments.get(name), _sums(values.astype(np.float64)))

    def add_quantiles(self, name: str, values: np.ndarray) -> None:
        """Adds numbers, float32 [any, width]; NaN is missing, and is so in a whole row."""
        present = values[~np.isnan(values).any(axis=1)]
        if len(present):
            sketch = self.sketches.setdefault(name, _sketch(values.shape[1]))
            sketch.AddValues(pa.array(present.ravel(), pa.float32()))

    def merge(self, other: Accumulated) -> None:
        """Adds what other rows add up to."""
        self.terms = _compacted(self.terms + other.terms, _COMPACT_ROWS)
        for name, sums in other.moments.items():
            self.moments[name] = _joined(self.moments.get(name), sums)
        for name, sketch in other.sketches.items():
            if name in self.sketches:
                self.sketches[name].Merge(sketch)
            else:
                self.sketches[name] = sketch
        self.sample.merge(other.sample)
        self.missing.update(other.missing)  # a sum would drop what is 0
        self.rows += other.rows
        self.rejects += other.rejects

    def counts(self) -> pa.Table:
        """Returns one table (name, term, count)."""
        self.terms = _compacted(self.terms, 0)
        return self.terms[0] if self.terms else _NO_TERMS

    def quantiles(self, name: str, parts: int, width: int) -> np.ndarray:
        """Returns what cuts the numbers into equal parts, float32 [width, parts - 1]."""
        if name not in self.sketches:
            return np.zeros((width, parts - 1), np.float32)
        found = self.sketches[name].GetQuantiles(parts).to_pylist()
        return np.asarray(found, np.float32)[:, 1:-1]

    def write(self, path: Path) -> None:
        """Writes the statistics, whole or not at all."""
        details = {
            "moments": {name: sums.tolist() for name, sums in self.moments.items()},
            "sketches": {
                name: base64.b64encode(pickle.dumps(sketch)).decode()
                for name, sketch in self.sketches.items()
            },
            "sample": base64.b64encode(self.sample.to_bytes()).decode(),
            "missing": self.missing,
            "rows": self.rows,
            "rejects": self.rejects,
        }
        table = self.counts().replace_schema_metadata({_DETAILS: json.dumps(details).encode()})
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            replacing(path) as temporary,
            temporary.open("wb") as file,
            paipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table)

    @classmethod
    def read(cls, path: Path) -> Accumulated:
        """Reads what `write` wrote."""
        with pa.memory_map(str(path)) as file:
            table = paipc.open_file(file).read_all()
        details = json.loads(table.schema.metadata[_DETAILS])
        return cls(
            terms=[table.replace_schema_metadata(None)],
            moments={name: np.asarray(sums) for name, sums in details["moments"].items()},
            sketches={
                name: pickle.loads(base64.b64decode(text))
                for name, text in details["sketches"].items()
            },
            sample=RowSample.from_bytes(base64.b64decode(details["sample"])),
            missing=Counter(details["missing"]),
            rows=details["rows"],
            rejects=Counter(details["rejects"]),
        )


def merged(parts: Iterable[Accumulated]) -> Accumulated:
    """Returns what all rows together add up to."""
    total = Accumulated()
    for part in parts:
        total.merge(part)
    return total


def _sketch(width: int) -> Any:
    return QuantilesSketch(_QUANTILE_ERROR, _SKETCH_VALUES, width)


def _compacted(tables: Sequence[pa.Table], waiting_rows: int) -> list[pa.Table]:
    """Merges the tables once more rows wait than the limit and than are merged already."""
    tables = list(tables)
    if len(tables) < 2:
        return tables
    waiting = sum(table.num_rows for table in tables[1:])
    if waiting <= max(waiting_rows, tables[0].num_rows if waiting_rows else 0):
        return tables
    joined = pa.concat_tables(tables)
    grouped = joined.group_by(["name", "term"], use_threads=False).aggregate([("count", "sum")])
    return [grouped.rename_columns({"count_sum": "count"}).select(["name", "term", "count"])]


def _sums(values: np.ndarray) -> np.ndarray:
    present = ~np.isnan(values)
    count = present.sum(axis=0)
    mean = np.divide(np.nansum(values, axis=0), count, out=np.zeros(len(count)), where=count > 0)
    squares = np.nansum((values - mean) ** 2, axis=0)
    low = np.where(present, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(present, values, -np.inf).max(axis=0, initial=-np.inf)
    return np.stack([count, mean, squares, low, high, len(values) - count])


def _joined(left: np.ndarray | None, right: np.ndarray) -> np.ndarray:
    """Joins two groups of rows.

    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances", 1979.
    """
    if left is None:
        return right
    count = left[0] + right[0]
    share = np.divide(right[0], count, out=np.zeros(len(count)), where=count > 0)
    distance = right[1] - left[1]
    squares = left[2] + right[2] + distance**2 * left[0] * share
    low, high = np.minimum(left[3], right[3]), np.maximum(left[4], right[4])
    return np.stack([count, left[1] + distance * share, squares, low, high, left[5] + right[5]])
