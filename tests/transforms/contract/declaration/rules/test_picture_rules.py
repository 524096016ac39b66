from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import MASK, error_of
from transforms.contract.declaration.parsing import load


def test_a_small_picture_is_refused_for_a_deep_network(declaration: Path) -> None:
    message = error_of(
        declaration, "features.photo.height=31", "model.encoders.photo={kind: mobilenet}"
    )
    assert "features.photo: expected at least 32x32 pixels for the encoder mobilenet" in message
    assert "received 31x96" in message


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["targets.mask.content=heat"],
            "targets.mask: expected content to be one of 'binary_mask'",
        ),
        (["targets.mask={kind: image, height: 9, width: 9}"], "targets.mask: expected a 'content'"),
        (["targets.mask.los=dice"], "(did you mean 'loss'?), received the unknown key 'los'"),
        (["targets.mask.loss=mse"], "targets.mask.loss: expected 'binary_crossentropy', 'dice'"),
        (["targets.mask.metrics=[psnr]"], "targets.mask.metrics.0: expected 'iou', 'dice' or"),
        (["targets.mask.content=class_mask"], "targets.mask.classes: expected a value, as this"),
        (
            [
                "targets.mask={kind: image, content: continuous, height: 9, width: 9, "
                "channels: 3, source_channel: alpha}"
            ],
            "targets.mask: expected 1 channel, as alpha has no more, received 3",
        ),
        (["model.decoders.sold={skips: false}"], "model.decoders.sold: expected the name of an im"),
        (
            ["model.decoders.mask={filters: [4, 2]}"],
            "model.decoders.mask.filters: expected 3 entries, as many as the encoders have, "
            "received 2",
        ),
        (
            ["model.decoders.mask={}", "model.builder='own:f'"],
            "either a builder or encoders and decoders",
        ),
        (
            ["model.augment.mask={zoom: 0.1}"],
            "model.augment.mask: expected an image feature, received 'mask'",
        ),
        (
            ["targets.mask.height=95", "model.augment.all={columns: [photo, mask], zoom: 0.1}"],
            "model.augment.all.columns: expected pictures of one size, received [(95, 96), (9",
        ),
        (
            ["model.targets=[sold]", "model.augment.all={columns: [photo, mask], zoom: 0.1}"],
            "model.augment.all.columns: expected image features and targets",
        ),
        (["model.targets=[sold]", "model.decoders.mask={}"], "the name of an image target"),
    ],
)
def test_a_picture_that_cannot_be_a_target_is_refused(
    declaration: Path, overrides: list[str], message: str
) -> None:
    assert message in error_of(declaration, MASK, *overrides)


def test_a_target_moves_with_its_picture(declaration: Path) -> None:
    both = "model.augment.all={columns: [photo, mask], zoom: 0.1}"
    assert load(declaration, [MASK, both]).model.augment["all"].columns == ("photo", "mask")


def test_aligned_pictures_have_one_size_and_one_geometry(declaration: Path) -> None:
    depth = "features.depth={kind: image, height: 96, width: 96, channels: 1}"
    both = "model.augment.geometry={columns: [photo, depth], zoom: 0.1}"
    assert load(declaration, [depth, both]).model.augment["geometry"].zoom == 0.1
    own = "model.augment.photo={brightness: 0.1}"
    assert load(declaration, [depth, both, own]).model.augment["photo"]
    message = error_of(declaration, depth, both, "model.augment.photo={flip: horizontal}")
    assert "one geometry for each picture" in message
    message = error_of(declaration, depth, both, "features.depth.width=95")
    assert "model.augment.geometry.columns: expected pictures of one size" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "model.augment={country: {zoom: 0.1}}",
            "model.augment.country: expected an image feature, received 'country'",
        ),
        (
            "model.augment={all: {columns: [photo, photo], zoom: 0.1}}",
            "model.augment.all: expected one geometry for each picture",
        ),
        ("model.augment={all: {columns: [photo], zoom: 0.1}}", "model.augment.all.columns: exp"),
        ("model.augment={all: {columns: [photo, mask], zoom: 0.1}}", "expected image features"),
    ],
)
def test_what_cannot_be_augmented_is_refused(
    declaration: Path, override: str, expected: str
) -> None:
    assert expected in error_of(declaration, override)
