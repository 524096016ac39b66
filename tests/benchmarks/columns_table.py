"""Tables of numbers and categories, and their declarations, for the tabular benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_ROW_GROUP = 100_000


def write_columns_table(
    path: Path, rows: int, numeric: int, categorical: Mapping[str, int]
) -> None:
    """Writes a table with a key, a 0/1 label, some numbers, and categories of so many values."""
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, _ROW_GROUP):
        count = min(_ROW_GROUP, rows - start)
        columns: dict[str, np.ndarray] = {
            "id": np.arange(start, start + count),
            "sold": rng.integers(0, 2, count),
        }
        columns |= {f"n{i}": rng.normal(size=count) for i in range(numeric)}
        texts = {
            name: pa.array(rng.integers(0, size, count)).cast(pa.string())
            for name, size in categorical.items()
        }
        table = pa.table(columns | texts)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def declaration(path: Path, numeric: int, categorical: Mapping[str, int]) -> str:
    """Returns the pipeline that takes every column."""
    features = [f"  n{i}: {{kind: numeric}}" for i in range(numeric)]
    features += [
        f"  {name}: {{kind: categorical, vocabulary_size: {size}}}"
        for name, size in categorical.items()
    ]
    return "\n".join(
        [
            "name: columns",
            f"source: {{path: {path}, key: id}}",
            "split: {train: 98, validation: 1, test: 1}",
            "features:",
            *features,
            "targets:",
            "  sold: {kind: binary}",
            "",
        ]
    )
