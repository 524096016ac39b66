from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import error_of


def test_png_storage_is_asked_of_pictures_with_alpha(declaration: Path) -> None:
    message = error_of(declaration, "features.photo.channels=4", "features.photo.storage=jpeg")
    assert "JPEG stores no alpha" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("features.x={kind: numeric, default: .nan}", "a number that is not finite"),
        (
            "features.x={kind: numeric, default: 1.0e+39}",
            "features.x: expected a default between -3.4e+38 and 3.4e+38",
        ),
        (
            "features.country={kind: categorical, encoding: hash}",
            "features.country: expected buckets, as encoding hash needs them, received none",
        ),
        (
            "features.country.buckets=9",
            "features.country: expected buckets only with encoding hash or identity, received "
            "buckets 9 with encoding vocabulary",
        ),
        (
            "features.country={kind: categorical, encoding: identity, buckets: 9, oov_buckets: 2}",
            "features.country: expected oov_buckets only with encoding vocabulary, received "
            "oov_buckets 2 with encoding identity",
        ),
        (
            "features.country={kind: categorical, encoding: identity, buckets: 9, default: '9'}",
            "features.country: expected a default that is a whole number from 0 to 8, received '9'",
        ),
        (
            "features.x={kind: numeric, scale: quantile, clip: 3}",
            "features.x: expected clip only with scale z_score or log, received clip 3.0 "
            "with scale quantile",
        ),
        (
            "features.x={kind: datetime, parts: [trend, trend]}",
            "features.x: expected parts that differ, received trend, trend",
        ),
        (
            "features.x={kind: datetime, parts: [hour]}",
            "features.x.parts.0: expected 'time_of_day'",
        ),
        ("features.x={kind: datetime, parts: []}", "features.x.parts: expected"),
        ("features.x={kind: numeric, clip: 0}", "features.x.clip: expected greater than 0"),
        ("features.x={kind: text, weights: bm25}", "features.x.weights: expected 'tf_idf'"),
        (
            "features.photo={kind: image, height: 9, width: 9, channels: 4, background: [0, 0, 0]}",
            "features.photo: expected no background for 4 channels",
        ),
        ("features.photo.background=[0, 0, 256]", "features.photo.background.2: expected less"),
        ("features.photo.storage=webp", "features.photo.storage: expected 'raw', 'jpeg' or 'png'"),
    ],
)
def test_a_feature_that_cannot_be_is_refused(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)
