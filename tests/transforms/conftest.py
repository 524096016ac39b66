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

from transforms.contract.declaration import parse
from transforms.contract.jobs import TransformJob
from transforms.contract.pipeline import PipelineSpec
from transforms.identity import transform_fingerprint
from transforms.source import scan


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
        "review": {"kind": "text", "length": 4},
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
        partitions = scan(self.pipeline.source).partitions
        return TransformJob(
            pipeline=self.pipeline,
            workspace=str(self.workspace),
            transform=transform_fingerprint(self.pipeline, partitions),
            partitions=partitions,
        )


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


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table of 100 rows of every kind, analyzed once for all tests."""
    from transforms.analysis import analyze

    root = tmp_path_factory.mktemp("mixed")
    write_rows(mixed_rows(100), root / "data" / "rows.parquet")
    pipeline = parse(MIXED | {"source": {"path": str(root / "data"), "key": "id"}})
    table = Table(pipeline, root / "data", root / "workspace")
    analyze(table.job().model_dump_json())
    return table


@pytest.fixture(scope="session")
def transform_rows(mixed: Table) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a function that sends raw values, by column, through the frozen graph."""
    import tensorflow as tf

    job = mixed.job()
    graph = tf.saved_model.load(str(job.folders().transform(job.transform) / "graph"))

    def transform(**columns: Any) -> dict[str, np.ndarray]:
        rows = len(next(iter(columns.values())))
        raw: dict[str, Any] = {
            "color": [""] * rows,
            "zip": [""] * rows,
            "area": [np.nan] * rows,
            "sizes": [[np.nan] * 3] * rows,
            "review": [""] * rows,
            "photo": [b""] * rows,
            "sold": [""] * rows,
            "group": [""] * rows,
            "price": [np.nan] * rows,
        }
        outputs = graph.transform({n: tf.constant(v) for n, v in (raw | columns).items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return transform
