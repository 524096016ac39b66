"""A small table of every kind, and a transform frozen on it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.support.jobs import transform_job
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.jobs import TransformJob


def picture(color: tuple[int, int, int], kind: str = "PNG") -> bytes:
    """Returns an encoded picture of 8x8 pixels of one color."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, kind)
    return buffer.getvalue()


def mixed_rows(count: int) -> dict[str, list[Any]]:
    """Returns `count` rows of every kind, 60 % of them in the color red."""
    return {
        "id": [f"r{i}" for i in range(count)],
        "fold": ["train" if i % 5 < 3 else ("validation", "test")[i % 2] for i in range(count)],
        "color": ["red" if i % 5 < 3 else "blue" if i % 5 == 3 else "green" for i in range(count)],
        "zip": [str(10000 + i % 3) for i in range(count)],
        "area": [float(i) for i in range(count)],
        "sizes": [[float(i), 2.0 * i, 7.0] for i in range(count)],
        "review": [f"Good, number {i % 4}!" for i in range(count)],
        "photo": [picture((i % 256, 0, 0)) for i in range(count)],
        "sold": [i % 2 == 0 for i in range(count)],
        "group": [("a", "b", "c")[i % 3] for i in range(count)],
        "price": [10.0 * i for i in range(count)],
    }


MIXED: dict[str, Any] = {
    "name": "mixed",
    "split": {"by": "column", "column": "fold"},
    "features": {
        "color": {"kind": "categorical", "vocabulary_size": 2, "oov_buckets": 2},
        "zip": {"kind": "categorical", "minimum_count": 2, "default": "10000"},
        "area": {"kind": "numeric", "missing": "missing_indicator"},
        "area_range": {"kind": "numeric", "column": "area", "scale": "min_max"},
        "area_log": {"kind": "numeric", "column": "area", "scale": "log"},
        "area_bucket": {"kind": "numeric", "column": "area", "scale": "bucketize", "buckets": 4},
        "area_raw": {"kind": "numeric", "column": "area", "scale": "none", "default": -1.0},
        "sizes": {"kind": "numeric", "length": 3},
        "review": {"kind": "text", "length": 4, "ngrams": 1, "weights": None},
        "photo": {"kind": "image", "height": 8, "width": 8},
    },
    "targets": {
        "sold": {"kind": "binary"},
        "group": {"kind": "multiclass", "missing": "mask"},
        "is_a": {"kind": "binary", "column": "group", "positive": "a", "missing": "mask"},
        "price": {"kind": "numeric"},
    },
    "transform": {"min_shards": 2},
}


@dataclass(frozen=True)
class Table:
    """A pipeline on a table in a folder, with the job of its transform."""

    pipeline: PipelineSpec
    folder: Path
    workspace: Path

    def job(self) -> TransformJob:
        """Returns the job over the partitions as they are now."""
        return transform_job(self.pipeline, self.workspace)


def write_rows(rows: dict[str, list[Any]], path: Path, *, row_group_size: int = 50) -> None:
    """Writes literal rows as Parquet; bytes that are not UTF-8 stay bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows), path, row_group_size=row_group_size)


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., Table]:
    """Returns a function that writes rows and declares a pipeline on them."""

    def make(rows: dict[str, list[Any]], **declaration: Any) -> Table:
        write_rows(rows, tmp_path / "data" / "rows.parquet")
        source = {"path": str(tmp_path / "data"), "key": "id"}
        pipeline = parse({"name": "p", "source": source} | declaration)
        return Table(pipeline, tmp_path / "data", tmp_path / "workspace")

    return make


KINDS: dict[str, Any] = {
    "name": "kinds",
    "split": {"by": "column", "column": "fold"},
    "features": {
        "number": {"kind": "numeric", "scale": "none"},
        "tags": {"kind": "categorical", "length": 3, "missing": "missing_indicator"},
        "tags_default": {"kind": "categorical", "column": "tags", "length": 3, "default": "b"},
        "tags_hashed": {
            "kind": "categorical",
            "column": "tags",
            "length": 3,
            "encoding": "hash",
            "buckets": 50,
        },
        "flags": {"kind": "categorical", "length": 2, "oov_buckets": 1},
        "shop": {"kind": "categorical", "encoding": "hash", "buckets": 5},
        "slot": {
            "kind": "categorical",
            "encoding": "identity",
            "buckets": 5,
            "invalid": "missing_indicator",
        },
        "slots": {
            "kind": "categorical",
            "encoding": "identity",
            "buckets": 4,
            "length": 2,
            "invalid": "missing_indicator",
        },
        "rank": {"kind": "numeric", "column": "area", "scale": "quantile"},
        "coarse_rank": {"kind": "numeric", "column": "area", "scale": "quantile", "quantiles": 2},
        "tied": {"kind": "numeric", "scale": "quantile", "quantiles": 10},
        "never": {"kind": "numeric", "scale": "quantile"},
        "clipped": {"kind": "numeric", "column": "area", "clip": 1.5},
        "clipped_log": {"kind": "numeric", "column": "area", "scale": "log", "clip": 0.5},
        "pair": {"kind": "numeric", "length": 2, "clip": 1.0, "missing": "missing_indicator"},
        "pair_rank": {"kind": "numeric", "column": "pair", "length": 2, "scale": "quantile"},
        "pair_bucket": {
            "kind": "numeric",
            "column": "pair",
            "length": 2,
            "scale": "bucketize",
            "buckets": 4,
        },
        "letters": {
            "kind": "text",
            "column": "review",
            "level": "characters",
            "ngrams": 3,
            "length": 12,
            "weights": None,
        },
        "terms": {
            "kind": "text",
            "column": "review",
            "ngrams": 2,
            "length": 8,
            "minimum_count": 2,
            "weights": "tf_idf",
        },
    },
    "targets": {"price": {"kind": "numeric", "missing": "mask"}},
    "model": {"encoders": {"terms": {"kind": "bag_of_words"}}},
    "transform": {"min_shards": 2},
}


def kinds_rows(count: int) -> dict[str, list[Any]]:
    """Returns `count` rows for the features of `KINDS`; what is odd or missing comes in turns."""
    tags = [["a"], ["b", "a"], ["c", "a", "b", "d"], [], None, ["a", None, "e", ""], ["e", "e"]]
    reviews = ["Good, good flat", "a bad flat!", "", "good\tbad  good", None, "naïve flat 東京"]
    return {
        "id": [f"r{i}" for i in range(count)],
        "fold": ["train" if i % 5 < 3 else ("validation", "test")[i % 2] for i in range(count)],
        "number": [float(i) for i in range(count)],
        "tags": [tags[i % 7] for i in range(count)],
        "flags": [[True, None], [False, True], None][:3] * (count // 3) + [[]] * (count % 3),
        "shop": [None if i % 9 == 0 else f"shop {i % 8}" for i in range(count)],
        "slot": [None if i % 11 == 0 else i % 7 - 1 for i in range(count)],
        "slots": [[[3, 0], [1], [], None, [2, 7, 1], [None, 2]][i % 6] for i in range(count)],
        "area": [None if i % 13 == 0 else float(i * i) for i in range(count)],
        "tied": [0.0 if i % 2 else float(i) - 50 for i in range(count)],
        "never": [None if i % 5 < 3 else float(i) for i in range(count)],
        "pair": [None if i % 8 == 0 else [float(i), -3.0 * i] for i in range(count)],
        "review": [reviews[i % 6] for i in range(count)],
        "price": [None if i % 3 == 0 else 10.0 * i for i in range(count)],
    }


def analyzed(
    tmp_path_factory: pytest.TempPathFactory, declaration: dict[str, Any], rows: dict[str, Any]
) -> Table:
    """Returns a table of some rows, with its transform frozen."""
    from transforms.analysis.freeze import analyze

    root = tmp_path_factory.mktemp(declaration["name"])
    write_rows(rows, root / "data" / "rows.parquet")
    pipeline = parse(declaration | {"source": {"path": str(root / "data"), "key": "id"}})
    table = Table(pipeline, root / "data", root / "workspace")
    analyze(table.job().model_dump_json())
    return table


def frozen_transform(table: Table) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a function that sends raw values, by column, through a table's frozen graph.

    A column that is not given is missing in every row.
    """
    import tensorflow as tf

    from transforms.graph.graph import raw_columns

    job = table.job()
    graph = tf.saved_model.load(str(job.folders().transform(job.transform) / "graph"))
    raws = raw_columns(table.pipeline, with_targets=True)

    def transform(**columns: Any) -> dict[str, np.ndarray]:
        rows = len(next(iter(columns.values())))
        given = {name: np.asarray(values, object) for name, values in columns.items()}
        tensors = {}
        for name, raw in raws.items():
            blank, dtype = (np.nan, np.float32) if raw.dtype == "float32" else (b"", object)
            values = given.get(name, np.full((rows, *raw.shape), blank, dtype))
            tensors[name] = tf.constant(values.astype(dtype))
        return {name: value.numpy() for name, value in graph.transform(tensors).items()}

    return transform


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table of 100 rows of every kind, analyzed once for all tests."""
    return analyzed(tmp_path_factory, MIXED, mixed_rows(100))


@pytest.fixture(scope="session")
def transform_rows(mixed: Table) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a function that sends raw values, by column, through the frozen graph."""
    return frozen_transform(mixed)


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table of 100 rows with what categories, numbers and texts can be, analyzed once."""
    return analyzed(tmp_path_factory, KINDS, kinds_rows(100))


@pytest.fixture(scope="session")
def transform_kinds(kinds: Table) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a function that sends raw values, by column, through the graph of `kinds`."""
    return frozen_transform(kinds)
