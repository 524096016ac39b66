from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.transforms.conftest import Table
from transforms.analysis.freeze import analyze
from transforms.graph.packing import packed_columns, packs
from transforms.statistics.frozen import read_moments, statistics_folder

ROWS = 60
COLUMNS: dict[str, list[Any]] = {
    "id": list(range(ROWS)),
    "fold": ["train"] * (ROWS - 4) + ["validation", "test"] * 2,
    "a": [None if i % 7 == 0 else float(i * i) for i in range(ROWS)],
    "b": [None if i % 5 == 0 else float(-i) for i in range(ROWS)],
    "price": [float(i) for i in range(ROWS)],
}
SCALES: dict[str, dict[str, Any]] = {
    "z": {"scale": "z_score", "missing": "missing_indicator"},
    "log": {"scale": "log", "clip": 1.5, "default": 2.0},
    "range": {"scale": "min_max"},
    "rank": {"scale": "quantile", "quantiles": 5},
    "bucket": {"scale": "bucketize", "buckets": 3},
    "raw": {"scale": "none"},
}
GIVEN = {"a": [3.0, np.nan, np.inf, 1e6], "b": [np.nan, -3.0, -20.0, 4.0], "price": [1.0] * 4}


def _declared(columns: str) -> dict[str, Any]:
    features = {
        f"{column}_{scale}": {"kind": "numeric", "column": column} | spec
        for scale, spec in SCALES.items()
        for column in columns
    }
    return {
        "split": {"by": "column", "column": "fold"},
        "features": features,
        "targets": {"price": {"kind": "numeric"}},
    }


def _outputs(table: Table) -> dict[str, np.ndarray]:
    job = table.job()
    analyze(job.model_dump_json())
    graph = tf.saved_model.load(str(job.folders().transform(job.transform) / "graph"))
    columns = {raw.name for raw in table.pipeline.raw_features().values()} | {"price"}
    given = {name: tf.constant(GIVEN[name], tf.float32) for name in columns}
    return {name: tensor.numpy() for name, tensor in graph.transform(given).items()}


def test_packed_numbers_are_what_they_are_alone(make_table: Callable[..., Table]) -> None:
    together = _outputs(make_table(COLUMNS, **_declared("ab")))
    for column in "ab":
        alone = make_table(COLUMNS, **_declared(column))
        assert not packs(alone.pipeline)
        for name, expected in _outputs(alone).items():
            np.testing.assert_allclose(together[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
            assert together[name].dtype == expected.dtype
    assert together["a_z__missing"].tolist() == [0.0, 1.0, 1.0, 0.0]
    assert together["b_z__missing"].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_features_that_are_declared_alike_are_packed(make_table: Callable[..., Table]) -> None:
    pipeline = make_table(COLUMNS, **_declared("ab")).pipeline
    assert [pack.names for pack in packs(pipeline)] == [(f"a_{s}", f"b_{s}") for s in SCALES]
    packed = packed_columns(pipeline)
    assert "price" in packed
    assert "a" not in packed
    assert all(packed[pack.raw.name].shape == (2,) for pack in packs(pipeline))


def test_statistics_are_of_each_feature(make_table: Callable[..., Table]) -> None:
    job = make_table(COLUMNS, **_declared("ab")).job()
    analyze(job.model_dump_json())
    moments = read_moments(statistics_folder(job.folders().transform(job.transform)))
    numbers = [float(i * i) for i in range(ROWS - 4) if i % 7]
    assert moments["a_z"]["mean"] == pytest.approx([np.mean(numbers)])
    assert moments["a_z"]["missing"] == [ROWS - 4 - len(numbers)]
    assert moments["b_range"]["minimum"] == [-54.0]
