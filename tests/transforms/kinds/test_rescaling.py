"""No number of a column, however large, is stored as NaN or infinite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.transforms.conftest import analyzed, frozen_transform
from transforms.contract.columns.features import Numeric
from transforms.contract.columns.numbers import LARGEST_FLOAT32
from transforms.graph.graph import raw_columns

LARGEST = float(np.float32(LARGEST_FLOAT32))
TRAINING = {
    "whole": [-LARGEST, LARGEST, 0.0, 1.0],  # a range that float32 cannot hold
    "large": [LARGEST, LARGEST / 2, LARGEST, LARGEST / 2],
    "constant": [-LARGEST] * 4,
    "tiny": [1e-45, 0.0, 1e-45, 0.0],
    "none": [None] * 4,
}
SCALES = ("z_score", "min_max", "log", "quantile", "bucketize", "none")


def declaration() -> dict[str, Any]:
    """Returns one feature for every scale and column, two of each that are packed, and targets."""
    features: dict[str, Any] = {}
    for column in TRAINING:
        for scale in SCALES:
            numeric = {"kind": "numeric", "scale": scale}
            features[f"{column}_{scale}"] = numeric | {"column": column}
            pair = {"column": f"{column}_pair", "length": 2}
            features[f"{column}_{scale}_pair"] = numeric | pair
        for scale in ("z_score", "min_max", "none"):
            series = {"kind": "sequence", "length": 2, "scale": scale}
            features[f"{column}_{scale}_steps"] = series | {"column": f"{column}_pair"}
    targets = {
        f"{column}_{scale}_target": {"kind": "numeric", "scale": scale, "column": column}
        | {"missing": "mask"}
        for column in ("whole", "large", "tiny", "constant")
        for scale in ("z_score", "log", "quantile", "none")
    }
    return {"name": "extremes", "features": features, "targets": targets}


@pytest.fixture(scope="module")
def transform(tmp_path_factory: pytest.TempPathFactory):
    rows: dict[str, list[Any]] = {"id": list("abcd"), "fold": ["train"] * 4}
    for column, values in TRAINING.items():
        rows[column] = values
        rows[f"{column}_pair"] = [None if v is None else [v, -v] for v in values]
    split = {"split": {"by": "column", "column": "fold"}}
    table = analyzed(tmp_path_factory, declaration() | split, rows)
    return frozen_transform(table), raw_columns(table.pipeline, with_targets=True).values()


NUMBERS = st.floats(width=32) | st.sampled_from([LARGEST, -LARGEST, 1e-45, float("nan")])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(number=NUMBERS, other=NUMBERS)
def test_any_number_on_any_scale_of_any_rows_is_stored_as_a_finite_one(
    transform, number: float, other: float
) -> None:
    frozen, raws = transform
    pair = np.array([[number, other], [other, number]])
    columns = {raw.name: pair.reshape(2, *raw.shape) if raw.shape else pair[0] for raw in raws}
    outputs = frozen(**columns)
    wrong = {name for name, values in outputs.items() if not np.isfinite(values).all()}
    assert wrong == set()


def test_a_range_beyond_float32_is_mapped_to_the_unit_interval(transform) -> None:
    numbers = [-LARGEST, -LARGEST / 2, 0.0, LARGEST]
    assert transform[0](whole=numbers)["whole_min_max"] == pytest.approx([0, 0.25, 0.5, 1])


@pytest.mark.parametrize("default", [1e39, -1e39, float("inf"), float("nan")])
def test_a_default_that_float32_cannot_hold_is_refused(default: float) -> None:
    with pytest.raises(ValidationError, match="default"):
        Numeric(kind="numeric", default=default)
