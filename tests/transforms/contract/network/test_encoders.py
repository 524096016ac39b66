from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "model.encoders.photo={kind: resnet, weights: imagenet}",
            "model.encoders.photo.weights: expected string should match pattern",
        ),
        (
            "model.encoders.photo={kind: custom, builder: own}",
            "model.encoders.photo.builder: expected string should match pattern",
        ),
        (
            "model.encoders.review={kind: transformer, dimension: 10, heads: 4}",
            "model.encoders.review: expected dimension to be a multiple of heads, "
            "received 10 for 4 heads",
        ),
    ],
)
def test_an_encoder_that_cannot_be_is_refused(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)
