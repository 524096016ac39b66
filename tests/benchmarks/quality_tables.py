"""The 13 real tables on which the defaults are judged: columns, target, split, declaration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pat
import yaml

from transforms.columns.splits import assign_splits
from transforms.contract.declaration.split import SPLITS, HashSplit

Task = Literal["binary", "multiclass", "numeric"]

# What Braid takes a time as; None leaves the column out, until there is a kind for it.
DATETIME_KIND: str | None = "datetime"

_EMOJI_NUMBERS = ("unicode_version", "codepoint_count", "keyword_count", "image_bytes")
# The parts of the tables that mix modalities, for the comparison of subsets.
SUBSETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "emoji": {
        "text": ("name", "keywords"),
        "numbers and category": (*_EMOJI_NUMBERS, "skin_tone_support"),
        "image": ("image",),
    },
    "sms": {"text": ("text",), "number": ("characters",)},
}


@dataclass(frozen=True)
class BenchmarkTable:
    """A table and the question that is asked of it.

    Attributes:
        name: Of the file, `bench/NAME.parquet`, or of the folder of files.
        target: The column that is predicted.
        task: What kind of target it is.
        metric: Which of the task's metrics decides.
        positive: The value of a binary target that counts as yes.
        features: The declared features, by column; empty for every other column by its type, as
            text is a category and a number numeric.
        times: Columns of ISO 8601 text.
        key: The column that names a row.
        fixed_split: Whether the column `split` says to which part a row belongs; else Braid's own
            hash of the key does.
    """

    name: str
    target: str
    task: Task
    metric: str
    positive: str | None = None
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    times: tuple[str, ...] = ()
    key: str = "row"
    fixed_split: bool = True

    def path(self, data: Path) -> Path:
        """Returns the table's file, or its folder of files, below the folder of the data."""
        return data / "bench" / f"{self.name}.parquet" if self.fixed_split else data / self.name

    def columns(self, schema: pa.Schema) -> list[str]:
        """Returns the columns that a model may use, in the table's order."""
        if self.features:
            return list(self.features)
        return [name for name in schema.names if name not in (self.key, "split", self.target)]

    def declared_features(self, schema: pa.Schema) -> dict[str, dict[str, Any]]:
        """Returns the features of the declaration: columns and kinds, nothing tuned."""
        declared: dict[str, dict[str, Any]] = {}
        for name in self.columns(schema):
            if name in self.features:
                declared[name] = dict(self.features[name])
            elif name not in self.times:
                text = pat.is_string(schema.field(name).type)
                declared[name] = {"kind": "categorical" if text else "numeric"}
            elif DATETIME_KIND is not None:
                declared[name] = {"kind": DATETIME_KIND}
        return declared

    def declaration(self, data: Path, schema: pa.Schema) -> str:
        """Returns the declaration as YAML; all that may have a default has it."""
        target = {"kind": self.task} | ({"positive": self.positive} if self.positive else {})
        document = {
            "name": self.name,
            "source": {"path": str(self.path(data).absolute()), "key": self.key},
            "features": self.declared_features(schema),
            "targets": {self.target: target},
        }
        if self.fixed_split:
            document["split"] = {"by": "column", "column": "split"}
        return yaml.safe_dump(document, sort_keys=False)


@dataclass(frozen=True)
class SplitTable:
    """The rows of a table in its two parts.

    Attributes:
        fitted: Training and validation rows, on which a baseline is fitted.
        test: The rows on which everything is judged.
        rows: The number of rows of each split.
    """

    table: BenchmarkTable
    fitted: pa.Table
    test: pa.Table
    rows: dict[str, int]

    def truth(self, part: pa.Table) -> np.ndarray:
        """Returns a part's target, [rows]: int64 0 or 1, text labels, or float64 numbers."""
        values = part[self.table.target].to_numpy()
        if self.table.task == "binary":
            return (values == self.table.positive).astype(np.int64)
        return values.astype(str if self.table.task == "multiclass" else np.float64)


def read_table(table: BenchmarkTable, data: Path) -> SplitTable:
    """Reads a table and splits it as Braid does.

    Raises:
        OSError: There is no such file.
    """
    rows = pq.read_table(table.path(data))
    if table.fixed_split:
        parts = rows["split"].to_numpy()
    else:
        keys = np.array([key.encode() for key in rows[table.key].to_pylist()], object)
        parts = np.array(SPLITS)[assign_splits(HashSplit(), keys, {})[0]]
    return SplitTable(
        table,
        fitted=rows.filter(pa.array(parts != "test")),
        test=rows.filter(pa.array(parts == "test")),
        rows={split: int((parts == split).sum()) for split in SPLITS},
    )


def _series(name: str, **signal: Any) -> BenchmarkTable:
    features = {"signal": {"kind": "sequence", **signal}}
    return BenchmarkTable(name, "label", "multiclass", "accuracy", features=features)


_KINDS_OF_EMOJI: dict[str, dict[str, Any]] = {
    "name": {"kind": "text"},
    "keywords": {"kind": "text"},
    **{name: {"kind": "numeric"} for name in _EMOJI_NUMBERS},
    "skin_tone_support": {"kind": "categorical"},
    "image": {"kind": "image", "height": 72, "width": 72},
}
_SMS = {"text": {"kind": "text"}, "characters": {"kind": "numeric"}}
_EMOJI = BenchmarkTable(
    "emoji",
    "group",
    "multiclass",
    "accuracy",
    features=_KINDS_OF_EMOJI,
    key="codepoints",
    fixed_split=False,
)

TABLES: Mapping[str, BenchmarkTable] = {
    table.name: table
    for table in (
        BenchmarkTable("german", "good", "binary", "auc", positive="1"),
        BenchmarkTable("phoneme", "nasal", "binary", "auc", positive="1"),
        BenchmarkTable("mammography", "positive", "binary", "auc", positive="1"),
        BenchmarkTable("abalone", "rings", "numeric", "r2"),
        BenchmarkTable("wine", "quality", "numeric", "r2"),
        BenchmarkTable("cars", "price", "numeric", "mape"),
        BenchmarkTable("pollution", "pm25", "numeric", "r2", times=("time",)),
        BenchmarkTable("sms", "label", "binary", "auc", positive="spam", features=_SMS),
        _series("arrow_head", length=251),
        _series("italy_power", length=24),
        _series("gun_point", length=150),
        _series("vowels", length=29, channels=12, variable=True),
        _EMOJI,
    )
}
