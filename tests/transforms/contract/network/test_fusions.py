from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.fusion={kind: sum}", "model.fusion: expected kind to be one of 'concatenate'"),
        ("model.fusion={kind: gated, hiden: [3]}", "(did you mean 'hidden'?)"),
        (
            "model.fusion={kind: attention, width: 9, heads: 2}",
            "model.fusion: expected width to be a multiple of heads, received 9 for 2 heads",
        ),
        ("model.fusion.modality_dropout=1", "model.fusion.modality_dropout: expected less than 1"),
    ],
)
def test_a_fusion_that_cannot_be_is_refused(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)
