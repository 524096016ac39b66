from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.augment={photo: {}}", "model.augment.photo: expected at least one change"),
        ("model.augment={all: {columns: [photo, mask]}}", "model.augment.all: expected at least o"),
        ("model.augment={all: {columns: [photo, x], brightness: 1}}", "unknown key 'brightness'"),
        ("model.augment={photo: {flipp: horizontal}}", "(did you mean 'flip'?)"),
    ],
)
def test_changes_that_cannot_be_are_refused(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)
