"""A user's own kind that has no number for some values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.transforms.conftest import Table, frozen_transform
from transforms.analysis.freeze import analyze
from transforms.contract.errors import BraidError
from transforms.reading.batches import RawBatch
from transforms.shards.applying import GraphApplier

KIND = {"kind": "tests.user_kinds.logarithm"}
DEPTHS = [1.0, 10.0, 100.0, 1_000.0]
MakeTable = Callable[..., Table]


@pytest.fixture
def table(make_table: MakeTable) -> Callable[..., Table]:
    """Returns a function that analyzes a table with a feature `depth` of some declaration."""

    def make(**declaration: Any) -> Table:
        rows = {
            "id": list("abcdef"),
            "fold": ["train"] * 6,
            "depth": [*DEPTHS, 0.0, -5.0],
            "area": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }
        made = make_table(
            rows,
            split={"by": "column", "column": "fold"},
            features={"depth": KIND | declaration, "area": {"kind": "numeric"}},
            targets={"price": {"kind": "numeric"}},
        )
        analyze(made.job().model_dump_json())
        return made

    return make


def applied(table: Table, depths: list[float]) -> tuple[RawBatch, dict[str, np.ndarray]]:
    count = len(depths)
    columns = {"depth": np.array(depths, np.float32)}
    columns |= dict.fromkeys(("area", "price"), np.ones(count, np.float32))
    keys = np.array([f"k{i}".encode() for i in range(count)], object)
    batch = RawBatch(keys, np.zeros(count, np.int8), columns, count, "f")
    graph = table.job().folders().transform(table.job().transform) / "graph"
    return batch, GraphApplier.shared(table.pipeline, Path(graph)).apply(batch)


def test_values_that_a_kind_cannot_encode_are_rejected_one_by_one(table) -> None:
    batch, outputs = applied(table(), [1.0, 0.0, 10.0, -1.0, np.nan])
    assert batch.keys.tolist() == [b"k0", b"k2", b"k4"]
    rejects = [(r.key, r.column, r.reason, r.value) for r in batch.rejects]
    assert rejects == [
        ("k1", "depth", "not_encodable", b"0.0"),
        ("k3", "depth", "not_encodable", b"-1.0"),
    ]
    assert len(outputs["depth"]) == 3
    assert np.isfinite(outputs["depth"]).all()


def test_or_they_count_as_missing_if_that_is_declared(table) -> None:
    batch, outputs = applied(table(invalid="missing_indicator"), [1.0, -1.0, np.nan])
    assert batch.rejects == []
    assert batch.replaced == {("depth", "not_encodable"): 1}
    assert outputs["depth"][1] == outputs["depth"][2] == 0.0
    assert outputs["depth__missing"].tolist() == [0.0, 1.0, 1.0]


def test_what_a_kind_learns_is_learnt_of_finite_numbers(table) -> None:
    outputs = frozen_transform(table(invalid="default"))(depth=DEPTHS)
    assert outputs["depth"].mean() == pytest.approx(0.0, abs=1e-6)
    assert outputs["depth"].std() == pytest.approx(1.0, rel=1e-5)


def test_a_kind_without_a_number_for_a_missing_value_is_refused_before_any_row(table) -> None:
    expected = (
        r"features.depth, kind 'tests.user_kinds.logarithm'.*a missing one among them"
        r".*received \[nan\] for a missing value"
    )
    with pytest.raises(BraidError, match=expected):
        table(careful=False)
