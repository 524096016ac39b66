from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of
from transforms.contract.declaration.parsing import load

MORE = (
    "features.area={kind: numeric, missing: reject}",
    "features.zip={kind: categorical, encoding: hash, buckets: 9}",
)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("{aera: {between: [0, 1]}}", "expect.aera: expected 'rows', or one of country, photo"),
        ("{area: {between: [5, 1]}}", "expect.area.between: expected a rising pair"),
        ("{area: {new_at_most: 0.1}}", "expect.area.new_at_most: expected one of between for"),
        ("{area: {missing_at_most: 0.1}}", "expected one of between for 'area'"),
        ("{country: {between: [0, 1]}}", "one of new_at_most, missing_at_most for 'country'"),
        ("{photo: {missing_at_most: 0.1}}", "the analysis keeps no such statistics of its kind"),
        ("{zip: {new_at_most: 0.1}}", "the analysis keeps no such statistics"),
        ("{rows: {missing_at_most: 0.1}}", "one of at_least, at_most for 'rows'"),
        ("{rows: {at_least: 5, at_most: 1}}", "at_least up to at_most, received 5 and 1"),
        ("{area: {}}", "something to expect"),
    ],
)
def test_what_cannot_be_judged_is_refused(declaration: Path, expected: str, message: str) -> None:
    assert message in error_of(declaration, *MORE, f"expect={expected}")


def test_what_is_expected_changes_no_shard_and_no_model(declaration: Path) -> None:
    plain = load(declaration, MORE)
    expecting = load(declaration, [*MORE, "expect={rows: {at_least: 10}, area: {between: [0, 9]}}"])
    assert expecting.data_fingerprint() == plain.data_fingerprint()
    assert expecting.training_fingerprint() == plain.training_fingerprint()
    assert "expect" not in plain.model_dump()
