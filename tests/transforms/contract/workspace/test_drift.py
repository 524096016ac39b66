from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.transform import DriftSpec
from transforms.contract.workspace.drift import Distance, MeasuredDrift, judge


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("transform.drift.threshold=0", "transform.drift.threshold: expected"),
        ("transform.drift.threshold=1.5", "transform.drift.threshold: expected"),
        ("transform.drift.features={country: 2}", "transform.drift.features.country: expected"),
        (
            "transform.drift.features={prize: 0.2}",
            "transform.drift.features.prize: expected a feature or target whose statistics a "
            "transform freezes (country, sold), received 'prize', which is not declared",
        ),
        (
            "transform.drift.features={photo: 0.2}",
            "received 'photo', which has no statistics",
        ),
    ],
)
def test_a_wrong_threshold_is_named_with_its_place(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)


def test_windows_do_not_drift(declaration: Path) -> None:
    message = error_of(
        declaration,
        "transform.refit=when_drifted",
        "source.windows={time: day, length: 2, values: [sales]}",
        "split={by: time, column: day, validation_from: 2, test_from: 3}",
    )
    assert "transform.refit: expected always or never where source.windows is declared" in message


def test_features_and_targets_have_thresholds(declaration: Path) -> None:
    drift = load(declaration, ["transform.drift={features: {country: 0.3, sold: 1}}"]).transform
    assert drift.drift.features == {"country": 0.3, "sold": 1.0}


def _measured(**distances: float) -> MeasuredDrift:
    features = {n: Distance(distance=d, measured=d, chance=0.0) for n, d in distances.items()}
    return MeasuredDrift(transform="t", partitions={"day=2": "f"}, rows=3, features=features)


def test_what_is_above_its_own_threshold_is_a_reason_and_the_worst_comes_first() -> None:
    spec = DriftSpec(threshold=0.1, features={"price": 0.5})
    judged = judge(_measured(area=0.15, price=0.4, color=0.3, floor=0.1), spec)
    assert judged.exceeded() == ["color", "area"], "at its threshold, floor is no reason"
    assert [name for name, _ in judged.ranked()] == ["color", "area", "floor", "price"]
    assert judge(_measured(), spec).exceeded() == []


def test_what_moves_on_by_itself_is_a_reason_only_with_a_threshold_of_its_own():
    measured = _measured(day=0.9, hour=0.9, area=0.05)
    spec = DriftSpec(features={"hour": 0.5})
    assert judge(measured, spec, moving={"day", "hour"}).exceeded() == ["hour"]
    assert judge(measured, spec).exceeded() == ["day", "hour"]
