from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image as Picture

from transforms.contract.columns.features import Image
from transforms.kinds.features.image import decode_stored, encode
from transforms.kinds.pictures.refusals import TOO_LARGE
from transforms.kinds.requests import Fitted

NOTHING_FITTED = Fitted({}, {}, {})


def encoded(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def pixels_of(spec: Image, *pictures: bytes) -> np.ndarray:
    stored = tf.function(lambda raw: encode("photo", spec, raw, NOTHING_FITTED))(
        tf.constant(np.array(pictures, object))
    )
    return np.asarray(decode_stored(spec, stored))


def spec(size: int = 8, **options: Any) -> Image:
    return Image(kind="image", height=size, width=size, **options)


def gradient(size: int, channels: int = 3) -> np.ndarray:
    ramp = np.linspace(0, 255, size)
    plane = ((ramp[:, None] + ramp[None, :]) / 2).astype(np.uint8)
    return np.repeat(plane[:, :, None], channels, axis=2)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_picture_of_the_right_size_is_unchanged(kind: str) -> None:
    assert np.array_equal(pixels_of(spec(), encoded(gradient(8), kind))[0], gradient(8))


@pytest.mark.parametrize("kind", ["JPEG", "GIF"])
def test_lossy_picture_is_close(kind: str) -> None:
    decoded = pixels_of(spec(), encoded(gradient(8), kind))[0].astype(int)
    assert np.abs(decoded - gradient(8)).mean() < 4


def test_first_frame_of_an_animation_is_taken() -> None:
    frames = [Picture.new("RGB", (8, 8), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert pixels_of(spec(), buffer.getvalue())[0, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_format_gives_the_declared_channels(kind: str, channels: int) -> None:
    decoded = pixels_of(spec(channels=channels), encoded(gradient(8), kind))
    assert decoded.shape == (1, 8, 8, channels)
    if channels == 4:
        assert (decoded[..., 3] == 255).all()


def test_alpha_is_kept_where_it_is_declared() -> None:
    pixels = gradient(8, 4)
    decoded = pixels_of(spec(channels=4), encoded(pixels, "PNG"))[0]
    assert np.array_equal(decoded, pixels)


def half_transparent(kind: str) -> bytes:
    """Returns 8x8 red pixels: the left half opaque, the right half transparent."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[:, :4, 3] = 255
    picture = Picture.fromarray(pixels)
    if kind == "palette":
        picture = Picture.fromarray(pixels[..., 3] // 255).convert("P")
        picture.putpalette([9, 9, 9, 200, 0, 0])
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", transparency=0)
        return buffer.getvalue()
    return encoded(pixels, "PNG")


@pytest.mark.parametrize("kind", ["rgba", "palette"])
def test_transparent_pixels_lie_over_the_background(kind: str) -> None:
    decoded = pixels_of(spec(background=(10, 20, 30)), half_transparent(kind))[0]
    assert (decoded[:, :4] == (200, 0, 0)).all()
    assert (decoded[:, 4:] == (10, 20, 30)).all()
    gray = pixels_of(spec(channels=1, background=(255, 255, 255)), half_transparent(kind))[0]
    assert (gray[:, 4:] == 255).all()
    assert (gray[:, :4] < 100).all()


def test_without_a_background_the_hidden_color_is_taken() -> None:
    assert (pixels_of(spec(), half_transparent("rgba"))[0] == (200, 0, 0)).all()


def test_the_hidden_color_does_not_bleed_when_the_picture_is_resized() -> None:
    decoded = pixels_of(spec(3, background=(200, 0, 0)), half_transparent("rgba"))[0]
    assert (decoded == (200, 0, 0)).all()


def test_half_transparent_pixels_are_mixed_with_the_background() -> None:
    pixels = np.full((8, 8, 4), 100, np.uint8)
    pixels[..., 3] = 51  # a fifth
    decoded = pixels_of(spec(background=(200, 0, 255)), encoded(pixels, "PNG"))[0]
    assert (decoded == (180, 20, 224)).all()


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "BMP"])
def test_opaque_formats_ignore_the_background(kind: str) -> None:
    picture = encoded(gradient(8), kind)
    with_background = pixels_of(spec(background=(1, 2, 3)), picture)
    assert np.array_equal(with_background, pixels_of(spec(), picture))


@pytest.mark.parametrize("size", [64, 100, 129, 256, 700])
def test_reduced_decoding_stays_close_to_full_decoding(size: int) -> None:
    decoded = pixels_of(spec(32), encoded(gradient(size), "JPEG", quality=95))[0].astype(int)
    picture = Picture.fromarray(gradient(size)).resize((32, 32), Picture.Resampling.BOX)
    assert np.abs(decoded - np.asarray(picture)).mean() < 5


def test_missing_picture_is_black() -> None:
    assert not pixels_of(spec(), b"").any()


@pytest.mark.parametrize("storage", ["raw", "png"])
def test_lossless_storage_gives_the_same_pixels(storage: str) -> None:
    decoded = pixels_of(spec(storage=storage), encoded(gradient(8), "PNG"))[0]
    assert np.array_equal(decoded, gradient(8))


def test_jpeg_storage_gives_close_pixels() -> None:
    decoded = pixels_of(spec(storage="jpeg"), encoded(gradient(8), "PNG"))[0].astype(int)
    assert np.abs(decoded - gradient(8)).mean() < 4


def test_rows_of_different_formats_and_sizes_share_a_batch() -> None:
    decoded = pixels_of(
        spec(),
        encoded(gradient(8), "PNG"),
        encoded(gradient(40), "JPEG"),
        b"",
        encoded(gradient(9), "GIF"),
    )
    assert decoded.shape == (4, 8, 8, 3)


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk


def jpeg_header(width: int, height: int) -> bytes:
    data = bytearray(encoded(gradient(8), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def gif_header(width: int, height: int) -> bytes:
    data = bytearray(encoded(gradient(8), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def bmp_header(width: int, height: int) -> bytes:
    data = bytearray(encoded(gradient(8), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


@pytest.mark.parametrize("header", [png_header, jpeg_header, gif_header, bmp_header])
def test_huge_claim_is_refused_before_it_is_decoded(header: Any) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=TOO_LARGE):
        pixels_of(spec(), header(30_000, 30_000))


@pytest.mark.parametrize(
    "picture",
    [b"not a picture", encoded(gradient(64), "JPEG")[:300], encoded(gradient(64), "PNG")[:60]],
)
def test_undecodable_picture_fails(picture: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        pixels_of(spec(), picture)
