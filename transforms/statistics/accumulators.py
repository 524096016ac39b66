"""The statistics that the training rows of a partition add up to, which can be merged.

An analysis keeps one file of them for each partition, so that the next one reads new partitions
only.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as paipc
from tfx_bsl.sketches import QuantilesSketch

from transforms.contract.workspace.cache import local_path
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.files import Place, replacing
from transforms.statistics.sampling import RowSample
from transforms.statistics.term_counts import TERMS_SCHEMA, TermCounts

_QUANTILE_ERROR = 0.001  # of the rank, so that a boundary is off by a thousandth of the rows
_SKETCH_VALUES = 1 << 32  # as many as any table has rows
_DETAILS = b"braid"


@dataclass
class Accumulated:
    """Statistics of some training rows.

    Attributes:
        terms: Of every name whose terms are counted how often each of them occurs.
        moments: Of every name float64 [6, width]: count, mean, sum of squared distances, minimum,
            maximum, missing values.
        sketches: Of every name what its quantiles are read from.
        sample: Some of the rows' numbers, of every name that has moments.
        missing: Rows without a value, of every name whose terms are counted.
        cut: Rows with more terms than are kept, of every text.
        rows: Training rows.
        named: Rows of all splits, unusable ones included, without those that lack their key.
        rejects: Rows of all splits that cannot be used, by "column: reason".
    """

    terms: dict[str, TermCounts] = field(default_factory=dict)
    moments: dict[str, np.ndarray] = field(default_factory=dict)
    sketches: dict[str, Any] = field(default_factory=dict)
    sample: RowSample = field(default_factory=RowSample)
    missing: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    named: int = 0
    rejects: Counter[str] = field(default_factory=Counter)

    def add_terms(self, name: str, values: np.ndarray) -> None:
        """Counts terms, bytes objects [any]."""
        self._terms(name).add(pa.array(values.ravel(), pa.binary()))

    def add_moments(self, names: Sequence[str], values: np.ndarray) -> None:
        """Adds numbers, float32 [any, width]; NaN is missing.

        Args:
            names: Whose numbers these are: each has an equal share of the columns, in this order.
            values: The numbers.
        """
        sums = np.split(_sums(values.astype(np.float64)), len(names), axis=1)
        self._join_moments(dict(zip(names, sums, strict=True)))

    def add_quantiles(self, name: str, values: np.ndarray) -> None:
        """Adds numbers, float32 [any, width]; NaN is missing, and is so in a whole row."""
        present = values[~np.isnan(values).any(axis=1)]
        if len(present):
            sketch = self.sketches.setdefault(name, _sketch(values.shape[1]))
            sketch.AddValues(pa.array(present.ravel(), pa.float32()))

    def merge(self, other: Accumulated) -> None:
        """Adds what other rows add up to."""
        for name, counts in other.terms.items():
            self._terms(name).merge(counts)
        self._join_moments(other.moments)
        for name, sketch in other.sketches.items():
            if name in self.sketches:
                self.sketches[name].Merge(sketch)
            else:
                self.sketches[name] = sketch
        self.sample.merge(other.sample)
        self.missing.update(other.missing)  # a sum would drop what is 0
        self.cut += other.cut
        self.rows += other.rows
        self.named += other.named
        self.rejects += other.rejects

    def counts(self, name: str) -> pa.Table:
        """Returns a table (term, count) of what was counted under a name."""
        return self.terms.get(name, TermCounts()).table()

    def quantiles(self, name: str, parts: int, width: int) -> np.ndarray:
        """Returns what cuts the numbers into equal parts, float32 [width, parts - 1]."""
        if name not in self.sketches:
            return np.zeros((width, parts - 1), np.float32)
        bounds = self.sketches[name].GetQuantiles(parts).to_pylist()
        return np.asarray(bounds, np.float32)[:, 1:-1]

    def write(self, path: Place) -> None:
        """Writes the statistics, whole or not at all."""
        terms = {name: counts.table() for name, counts in self.terms.items()}
        details = {
            "terms": {name: table.num_rows for name, table in terms.items()},
            "moments": {name: sums.tolist() for name, sums in self.moments.items()},
            "sketches": {
                name: base64.b64encode(sketch.__getstate__()).decode()
                for name, sketch in self.sketches.items()
            },
            "sample": base64.b64encode(self.sample.to_bytes()).decode(),
            "missing": self.missing,
            "cut": self.cut,
            "rows": self.rows,
            "named": self.named,
            "rejects": self.rejects,
        }
        schema = TERMS_SCHEMA.with_metadata({_DETAILS: json.dumps(details).encode()})
        with (
            replacing(path) as temporary,
            temporary.open("wb") as file,
            paipc.new_file(file, schema) as writer,
        ):
            for table in terms.values():
                writer.write_table(table)

    @classmethod
    def read(cls, path: Place, copy: Path | None = None) -> Accumulated:
        """Reads what `write` wrote.

        Args:
            path: Where that was.
            copy: The path to read it by, if it is another one.

        Raises:
            DamagedFile: The file is cut, or of another content.
        """
        with reading(path):
            return cls._read(copy or local_path(path))

    @classmethod
    def _read(cls, path: Path) -> Accumulated:
        with pa.memory_map(str(path)) as file:
            table = paipc.open_file(file).read_all()
        table.validate(full=True)  # a cut or changed file may say more than it has
        details = json.loads(table.schema.metadata[_DETAILS])
        table, start, terms = table.replace_schema_metadata(None), 0, {}
        for name, rows in details["terms"].items():
            terms[name] = TermCounts([table.slice(start, rows)], name)
            start += rows
        return cls(
            terms=terms,
            moments={name: np.asarray(sums) for name, sums in details["moments"].items()},
            sketches={
                name: _restored(base64.b64decode(state))
                for name, state in details["sketches"].items()
            },
            sample=RowSample.from_bytes(base64.b64decode(details["sample"])),
            missing=Counter(details["missing"]),
            cut=Counter(details["cut"]),
            rows=details["rows"],
            named=details["named"],
            rejects=Counter(details["rejects"]),
        )

    def _terms(self, name: str) -> TermCounts:
        return self.terms.setdefault(name, TermCounts(name=name))

    def _join_moments(self, other: Mapping[str, np.ndarray]) -> None:
        """Joins those of all names at once, as there may be many."""
        shared = [name for name in other if name in self.moments]
        if shared:
            left = np.concatenate([self.moments[name] for name in shared], axis=1)
            right = np.concatenate([other[name] for name in shared], axis=1)
            ends = np.cumsum([other[name].shape[1] for name in shared])[:-1]
            joined = np.split(_joined(left, right), ends, axis=1)
            other = {**other, **dict(zip(shared, joined, strict=True))}
        self.moments |= other


def merged(parts: Iterable[Accumulated]) -> Accumulated:
    """Returns what all rows together add up to."""
    total = Accumulated()
    for part in parts:
        total.merge(part)
    return total


def _sketch(width: int) -> Any:
    return QuantilesSketch(_QUANTILE_ERROR, _SKETCH_VALUES, width)


def _restored(state: bytes) -> Any:
    """Returns the sketch of a state, which is a protocol buffer; a pickle would run code."""
    sketch = QuantilesSketch.__new__(QuantilesSketch)
    sketch.__setstate__(state)  # the only reader of a state that the library has
    return sketch


def _sums(values: np.ndarray) -> np.ndarray:
    present = ~np.isnan(values)
    count = present.sum(axis=0)
    total = np.where(present, values, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.zeros(len(count)), where=count > 0)
    distances = np.where(present, values - mean, 0.0)
    squares = np.einsum("ij,ij->j", distances, distances)
    low = np.fmin.reduce(values, axis=0, initial=np.inf)
    high = np.fmax.reduce(values, axis=0, initial=-np.inf)
    return np.stack([count, mean, squares, low, high, len(values) - count])


def _joined(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Joins two groups of rows.

    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances", 1979.
    """
    count = left[0] + right[0]
    share = np.divide(right[0], count, out=np.zeros(len(count)), where=count > 0)
    distance = right[1] - left[1]
    squares = left[2] + right[2] + distance**2 * left[0] * share
    low, high = np.minimum(left[3], right[3]), np.maximum(left[4], right[4])
    return np.stack([count, left[1] + distance * share, squares, low, high, left[5] + right[5]])
