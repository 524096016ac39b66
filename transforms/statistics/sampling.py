"""A uniform sample of rows, of a bounded size, that can be merged with others."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xxhash

_MOST_ROWS = 4_096  # two such samples of equal deciles are 0.02 apart by chance
_MOST_VALUES = 1 << 18  # of a name, 1 MiB: of a list of 512 numbers there are 512 rows
_PRIORITIES, _COLUMN = "priorities", "column "


@dataclass
class RowSample:
    """A sample of rows of numbers.

    Every row gets a random priority, and those with the lowest ones are kept, so that the sample
    of several groups of rows is that of their samples: Cohen and Kaplan, "Summarizing Data Using
    Bottom-k Sketches", 2007.

    Attributes:
        priorities: Of the rows that are kept, float64 [rows], the lowest first.
        columns: float32 [rows, width] of every name, NaN for missing; fewer rows for a wide one,
            which has the first ones.
    """

    priorities: np.ndarray = field(default_factory=lambda: np.zeros(0))
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Adds rows, [batch, width] of every name, or [batch, steps, width]: one step of a row."""
        if not columns:
            return
        digest = xxhash.xxh64()
        for values in columns.values():
            digest.update(values.tobytes())
        # Drawn from what is in the rows: the same rows give the same sample, and no two batches
        # have the same priorities.
        random = np.random.default_rng(digest.intdigest())
        rows = len(next(iter(columns.values())))
        priorities = random.random(rows)
        chosen = np.argsort(priorities)[:_MOST_ROWS]
        if len(self.priorities) == _MOST_ROWS:
            chosen = chosen[priorities[chosen] < self.priorities[-1]]
        steps = random.random(len(chosen))
        kept = {name: _one_step(values[chosen], steps) for name, values in columns.items()}
        self.merge(RowSample(priorities[chosen], kept))

    def merge(self, other: RowSample) -> None:
        """Adds the sample of other rows."""
        orders: dict[tuple[int, int, int], np.ndarray] = {}  # most columns have the same one
        for name, values in other.columns.items():
            if name not in self.columns:
                self.columns[name] = values
                continue
            own = self.columns[name]
            most = max(1, min(_MOST_ROWS, _MOST_VALUES // values.shape[1]))
            lengths = len(own), len(values), most
            if lengths not in orders:
                ranks = [self.priorities[: len(own)], other.priorities[: len(values)]]
                orders[lengths] = np.argsort(np.concatenate(ranks), kind="stable")[:most]
            self.columns[name] = np.concatenate([own, values])[orders[lengths]]
        self.priorities = np.sort(np.concatenate([self.priorities, other.priorities]))[:_MOST_ROWS]

    def to_bytes(self) -> bytes:
        """Returns what `from_bytes` takes."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {_COLUMN + name: values for name, values in self.columns.items()}
        np.savez(buffer, **arrays | {_PRIORITIES: self.priorities})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> RowSample:
        """Returns the sample that `to_bytes` gave."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            columns = dict(arrays)
        priorities = columns.pop(_PRIORITIES)
        return cls(priorities, {name.removeprefix(_COLUMN): v for name, v in columns.items()})


def _one_step(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Returns [rows, width] of [rows, width], or of [rows, steps, width] by shares of the steps."""
    if values.ndim == 3:
        values = values[np.arange(len(values)), (steps * values.shape[1]).astype(int)]
    return np.asarray(values, np.float32)
