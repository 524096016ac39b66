from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image as Picture

from transforms.contract.columns.targets import BinaryMask, ClassMask, ContinuousImage, ImageTarget
from transforms.kinds.pictures.refusals import TOO_LARGE
from transforms.kinds.requests import Fitted, Learnt
from transforms.kinds.targets.image import encode, stored

SIZE = {"kind": "image", "height": 4, "width": 6}
GRAY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def encoded(spec: ImageTarget, *pictures: bytes) -> tuple[np.ndarray, list[bool]]:
    """Returns the pixels that are stored, and which are known."""
    column = tf.constant(np.array(pictures, object))
    values, known = tf.function(lambda raw: encode("m", spec, raw, Fitted({}, {}, {})))(column)
    _, shape = spec.layout()
    assert stored(spec, Learnt())["storage"] == spec.storage
    if spec.storage == "png":
        pixels = [tf.io.decode_png(value, shape[-1]).numpy() for value in values]
    else:
        pixels = [np.frombuffer(value, np.uint8).reshape(shape) for value in values.numpy()]
    return np.stack(pixels), known.numpy().tolist()


@pytest.mark.parametrize("storage", ["raw", "png"])
def test_a_mask_is_foreground_from_128(storage: str) -> None:
    spec = BinaryMask(content="binary_mask", storage=storage, **SIZE)
    pixels, known = encoded(spec, png(GRAY))
    assert pixels[0, :, :, 0].tolist() == np.where(GRAY >= 128, 255, 0).tolist()
    assert known == [True]


def test_a_mask_can_be_the_alpha_channel() -> None:
    spec = BinaryMask(content="binary_mask", source_channel="alpha", **SIZE)
    rgba = np.full((4, 6, 4), 200, np.uint8)
    rgba[..., 3] = GRAY
    pixels, _ = encoded(spec, png(rgba), png(rgba[..., :3]))
    assert pixels[0, :, :, 0].tolist() == np.where(GRAY >= 128, 255, 0).tolist()
    assert (pixels[1] == 255).all()  # a picture without alpha is opaque


def test_a_mask_is_resized_without_values_in_between() -> None:
    spec = ClassMask(content="class_mask", classes=4, **SIZE)
    ids = np.repeat(np.repeat(np.array([[0, 3], [2, 1]], np.uint8), 4, axis=0), 6, axis=1)
    pixels, known = encoded(spec, png(ids))
    assert known == [True]
    assert pixels[0, :, :, 0].tolist() == ids[::2, ::2].tolist()


def test_a_value_that_is_no_class_is_not_known() -> None:
    spec = ClassMask(content="class_mask", classes=3, **SIZE)
    ids = np.zeros((4, 6), np.uint8)
    beyond = ids.copy()
    beyond[1, 1], beyond[2, 2] = 3, 2
    pixels, known = encoded(spec, png(ids), png(beyond))
    assert known == [True, False]
    assert pixels[1].max() == 2  # what the model is given is a class all the same


def test_a_quantity_keeps_its_values_and_channels() -> None:
    spec = ContinuousImage(content="continuous", **SIZE)
    pixels, _ = encoded(spec, png(GRAY))
    assert (pixels[0, :, :, 0] == GRAY).all()
    color = ContinuousImage(content="continuous", channels=3, **SIZE)
    assert (encoded(color, png(np.dstack([GRAY] * 3)))[0][0] == GRAY[..., None]).all()
    alpha = ContinuousImage(content="continuous", source_channel="alpha", **SIZE)
    rgba = np.dstack([GRAY, GRAY, GRAY, 255 - GRAY])
    assert (encoded(alpha, png(rgba))[0][0, :, :, 0] == 255 - GRAY).all()


@pytest.mark.parametrize(
    "content", [{"content": "binary_mask"}, {"content": "class_mask", "classes": 2}]
)
def test_a_missing_picture_is_not_known(content: dict[str, Any]) -> None:
    spec = (BinaryMask if len(content) == 1 else ClassMask)(**content, **SIZE)
    pixels, known = encoded(spec, b"", png(np.zeros((4, 6), np.uint8)))
    assert known == [False, True]
    assert not pixels.any()


def test_bad_pictures_fail() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        encoded(BinaryMask(content="binary_mask", **SIZE), b"no picture")
    with pytest.raises(tf.errors.InvalidArgumentError, match=TOO_LARGE):
        encoded(BinaryMask(content="binary_mask", max_pixels=23, **SIZE), png(GRAY))
