from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.transforms.conftest import Table
from transforms.analysis.freeze import analyze

ROWS = 10
FLAT = np.arange(ROWS * 3, dtype=np.float64).reshape(ROWS, 3) ** 2
PAIRS = np.stack([FLAT, -5.0 * FLAT + 3.0], axis=2)
DECLARATION: dict[str, Any] = {
    "split": {"by": "column", "column": "fold"},
    "features": {
        "flat": {"kind": "sequence", "length": 3, "missing": "missing_indicator"},
        "flat_range": {"kind": "sequence", "length": 3, "scale": "min_max", "column": "flat"},
        "flat_raw": {"kind": "sequence", "length": 3, "scale": "none", "column": "flat"},
        "pairs": {"kind": "sequence", "length": 3, "channels": 2},
        "joined": {"kind": "sequence", "length": 3, "columns": ["flat", "other"]},
        "track": {"kind": "sequence", "length": 4, "variable": True, "scale": "none"},
        "area": {"kind": "numeric"},
    },
    "targets": {"price": {"kind": "numeric"}},
}


def rows() -> dict[str, list[Any]]:
    return {
        "id": [f"r{i}" for i in range(ROWS)],
        "fold": ["train"] * 6 + ["validation", "validation", "test", "test"],
        "flat": FLAT.tolist(),
        "other": (-FLAT).tolist(),
        "pairs": PAIRS.tolist(),
        "track": [[1.0] * (1 + i % 4) for i in range(ROWS)],
        "area": [float(i) for i in range(ROWS)],
        "price": [float(i) for i in range(ROWS)],
    }


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a function that sends raw series through the transform of ten literal rows."""
    from tests.transforms.conftest import write_rows
    from transforms.contract.declaration.parsing import parse

    root = tmp_path_factory.mktemp("series")
    write_rows(rows(), root / "data" / "rows.parquet")
    source = {"path": str(root / "data"), "key": "id"}
    pipeline = parse({"name": "p", "source": source} | DECLARATION)
    job = Table(pipeline, root / "data", root / "workspace").job()
    analyze(job.model_dump_json())
    graph = tf.saved_model.load(str(job.folders().transform(job.transform) / "graph"))
    nothing = {
        raw.name: np.full((1, *raw.shape), np.nan, np.float32)
        for raw in pipeline.raw_features().values()
    }

    def transform(**columns: Any) -> dict[str, np.ndarray]:
        given = {n: np.asarray([v], np.float32) for n, v in columns.items()}
        given = {n: v[..., None] if v.ndim == 2 else v for n, v in given.items()}
        outputs = graph.transform_features(
            {n: tf.constant(v) for n, v in (nothing | given).items()}
        )
        return {name: value.numpy()[0] for name, value in outputs.items()}

    return transform


TRAIN = FLAT[:6]


def test_a_channel_has_one_scale_over_all_steps_of_the_training_rows(series: Any) -> None:
    stored = series(flat=[4.0, 9.0, 16.0])
    expected = (np.array([4.0, 9.0, 16.0]) - TRAIN.mean()) / TRAIN.std()
    assert stored["flat"].shape == (3, 1)
    assert stored["flat"][:, 0] == pytest.approx(expected, rel=1e-5)
    assert stored["flat_range"][:, 0] == pytest.approx([v / TRAIN.max() for v in (4.0, 9.0, 16.0)])
    assert stored["flat_raw"][:, 0].tolist() == [4.0, 9.0, 16.0]


def test_every_channel_has_its_own_scale(series: Any) -> None:
    stored = series(pairs=PAIRS[0], joined=np.stack([FLAT[0], -FLAT[0]], axis=1))
    expected = (FLAT[0] - TRAIN.mean()) / TRAIN.std()
    assert stored["pairs"] == pytest.approx(np.stack([expected, -expected], axis=1), rel=1e-4)
    assert stored["joined"] == pytest.approx(np.stack([expected, -expected], axis=1), rel=1e-4)


def test_missing_number_is_its_channels_mean(series: Any) -> None:
    stored = series(flat=[np.nan, 9.0, np.inf])
    assert stored["flat"][[0, 2], 0] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert stored["flat_raw"][0, 0] == pytest.approx(TRAIN.mean(), rel=1e-5)
    assert stored["flat__missing"] == 0.0


def test_missing_series_is_the_mean_and_is_indicated(series: Any) -> None:
    stored = series()
    assert stored["flat"] == pytest.approx(np.zeros((3, 1)), abs=1e-6)
    assert stored["flat__missing"] == 1.0


def test_only_what_follows_the_last_number_of_a_variable_series_is_padding(series: Any) -> None:
    stored = series(track=[7.0, np.nan, 8.0, np.nan])["track"][:, 0]
    np.testing.assert_array_equal(stored, np.array([7.0, 1.0, 8.0, np.nan], np.float32))
    assert np.isnan(series()["track"]).all()
