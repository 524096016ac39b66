from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.pipeline import PipelineSpec

SLICES = "evaluation.slices=[country, {age: 4}, {review: length}]"
FEATURES = [
    "features.age={kind: numeric}",
    "features.review={kind: text}",
    "features.secret={kind: categorical, sensitive: true}",
]


def test_slices_are_declared_by_value_by_parts_and_by_length(declaration: Path) -> None:
    pipeline = load(declaration, [*FEATURES, SLICES])
    assert pipeline.evaluation.cuts() == (("country", "values"), ("age", 4), ("review", "length"))
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.slices=[nowhere]", "evaluation.slices.0: expected one of country, "),
        ("evaluation.slices=[secret]", "a feature that is not sensitive, as its values are shown"),
        ("evaluation.slices=[age]", "received 'age', which is numeric, by values"),
        ("evaluation.slices=[{country: 4}]", "received 'country', which is categorical, by 4"),
        ("evaluation.slices=[{age: 1}]", "evaluation.slices.0.age: expected greater than or equal"),
        ("evaluation.slices=[{age: width}]", "evaluation.slices.0.age: expected 'length'"),
        ("evaluation.intervals=1.5", "evaluation.intervals: expected less than or equal to 0.99"),
        ("gate.slice=worst", "gate.slice: expected evaluation.slices to choose the worst of"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    declaration: Path, override: str, message: str
) -> None:
    assert message in error_of(declaration, *FEATURES, override)


def test_confidence_needs_intervals_and_the_test_rows(declaration: Path) -> None:
    without = error_of(declaration, "gate.confidence=0.95", "evaluation.intervals=null")
    assert "gate.confidence: expected evaluation.intervals" in without
    validation = error_of(declaration, "gate={metric: validation_loss, confidence: 0.95}")
    assert "gate.confidence: expected a metric of the test rows" in validation


def test_what_is_not_asked_for_changes_no_fingerprint_of_a_gate(declaration: Path) -> None:
    (gate,) = load(declaration).gates()
    assert set(gate.model_dump()) == {"metric", "at_least", "at_most", "tolerance", "compare"}
