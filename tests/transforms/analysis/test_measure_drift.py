"""Distances between days, through the statistics that an analysis leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.transforms.conftest import write_rows
from transforms.analysis.freeze import analyze
from transforms.analysis.measure_drift import measure
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.drift import MeasuredDrift
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.transform_choice import transform_fingerprint
from transforms.source.scan import scan

_ROWS = 400
_COLORS = np.array(["red", "blue", "green", "pink"])
_WORDS = np.array([f"word{n}" for n in range(50)])


def _day(number: int, **changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(number)
    rows = {
        "id": [f"{number}-{row}" for row in range(_ROWS)],
        "fold": ["train"] * (_ROWS - 2) + ["validation", "test"],
        "color": random.choice(_COLORS, _ROWS, p=[0.4, 0.3, 0.2, 0.1]),
        "area": random.normal(size=_ROWS).astype(np.float32),
        "flag": (random.random(_ROWS) < 0.05).astype(np.float32),
        "pair": [[float(x), 1.0] for x in random.normal(size=_ROWS)],
        "waves": [random.normal(size=6).tolist() for _ in range(_ROWS)],
        "review": [" ".join(random.choice(_WORDS, 8)) for _ in range(_ROWS)],
        "shop": random.choice(_COLORS, _ROWS),
        "seen": [
            str(np.datetime64("2026-01-01T00:00") + m) for m in random.integers(90_000, size=_ROWS)
        ],
        "sold": random.random(_ROWS) < 0.5,
        "price": random.normal(size=_ROWS).astype(np.float32),
    }
    return rows | {name: change(rows[name]) for name, change in changes.items()}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[MeasuredDrift, dict]]:
    """Returns a function that holds a new day against two that a transform was frozen on."""
    root = tmp_path_factory.mktemp("days")
    pipeline = parse(
        {
            "name": "days",
            "source": {"path": str(root / "data"), "key": "id", "partition_by": "day"},
            "split": {"by": "column", "column": "fold"},
            "features": {
                "color": {"kind": "categorical"},
                "area": {"kind": "numeric"},
                "flag": {"kind": "numeric", "scale": "none"},
                "pair": {"kind": "numeric", "length": 2},
                "waves": {"kind": "sequence", "length": 6},
                "review": {"kind": "text", "ngrams": 1, "weights": None},
                "seen": {"kind": "datetime"},
                "shop": {"kind": "categorical", "encoding": "hash", "buckets": 5},
            },
            "targets": {
                "sold": {"kind": "binary"},
                "price": {"kind": "numeric", "missing": "mask"},
            },
        }
    )
    workspace = root / "workspace"

    def job(transform: str, wanted: str) -> TransformJob:
        partitions = scan(pipeline.source).partitions
        return TransformJob(
            pipeline=pipeline,
            workspace=str(workspace),
            transform=transform,
            partitions=tuple(p for p in partitions if p.value in wanted.split()),
        )

    for number in (1, 2):
        write_rows(_day(number), root / "data" / f"day={number}" / "a.parquet")
    frozen = job("", "1 2")
    name = transform_fingerprint(pipeline, frozen.partitions)
    analyze(job(name, "1 2").model_dump_json())

    def held(number: int, **changes: Any) -> tuple[MeasuredDrift, dict]:
        write_rows(_day(number, **changes), root / "data" / f"day={number}" / "a.parquet")
        new = job(name, str(number))
        result = measure(new.model_dump_json())
        partitions = {part.name: part.fingerprint for part in new.partitions}
        drift = Workspace(workspace).read_drift(name, partitions)
        assert drift is not None
        return drift, result

    return held


def test_a_day_like_the_others_has_not_drifted_and_is_read_once(days) -> None:
    drift, result = days(3)
    assert (drift.rows, result.rows, result.partitions) == (_ROWS - 2, _ROWS - 2, 1)
    assert drift.features.keys() == {
        "color", "area", "flag", "pair", "waves", "review", "seen", "sold", "price"
    }  # fmt: skip
    assert all(d.distance < 0.1 for d in drift.features.values()), drift
    assert all(0 <= d.measured <= 1 and 0 < d.chance < 0.5 for d in drift.features.values())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("color", lambda values: np.where(values == "red", "violet", values)),  # a new term
        ("color", lambda values: [None if i % 2 else v for i, v in enumerate(values)]),
        ("area", lambda values: values + 1),
        ("area", lambda values: [None if i % 2 else v for i, v in enumerate(values)]),
        ("flag", lambda values: values - 1),  # 95 of 100 frozen values are one and the same
        ("pair", lambda values: [[x, 0.9] for x, _ in values]),  # and here all are
        ("waves", lambda values: [[3 * x for x in value] for value in values]),
        ("review", lambda values: [" ".join(sorted(v.split())[:2]) for v in values]),
        ("seen", lambda values: [v.replace("2026", "2027") for v in values]),
        ("sold", lambda values: values & (np.arange(_ROWS) % 2 == 0)),
        ("price", lambda values: values * 2),
    ],
)
def test_what_moved_is_told_and_nothing_else(days, name: str, change: Callable) -> None:
    number = 10 + len(name)
    drift, _ = days(number, **{name: change})
    drifted = {feature for feature, d in drift.features.items() if d.distance > 0.1}
    assert drifted == {name}, drift


def test_three_rows_are_too_few_to_tell(days) -> None:
    def three(values: Any) -> list[str]:
        return ["train" if i < 3 else "test" for i in range(len(values))]

    drift, _ = days(100, fold=three)
    assert drift.rows == 3
    assert all(d.distance < 0.1 for d in drift.features.values()), drift


def test_without_training_rows_nothing_can_be_compared(days) -> None:
    drift, _ = days(101, fold=lambda values: ["test"] * len(values))
    assert (drift.rows, drift.features) == (0, {})
