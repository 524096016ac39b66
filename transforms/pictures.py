"""Encoded pictures to pixels of one size, and pixels to what shards store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

TOO_LARGE = "image_too_large"  # what a refused picture's error says, and the reason of its reject
_JPEG_QUALITY = 95
_OPAQUE = 255
_JPEG, _PNG, _GIF, _BMP, _NONE, _OTHER = range(6)
_MAGIC = {_JPEG: b"\xff\xd8\xff", _PNG: b"\x89PNG\r\n\x1a\n", _GIF: b"GIF8", _BMP: b"BM"}
_REDUCTIONS = (1, 2, 4, 8)  # what libjpeg can scale down by while it decodes


@dataclass(frozen=True)
class Wanted:
    """What a picture is to become.

    Attributes:
        height: Rows of pixels.
        width: Columns of pixels.
        channels: 1 is gray, 3 is RGB, 4 is RGBA.
        max_pixels: A picture whose header claims more is refused.
        background: The color that transparent pixels are laid over.
        interpolate: Whether resizing may make values between those of neighbouring pixels.
    """

    height: int
    width: int
    channels: int
    max_pixels: int
    background: tuple[int, int, int] | None = None
    interpolate: bool = True


def decode(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    """Decodes and resizes one picture; none at all is black and transparent.

    Args:
        spec: What it is to become.
        contents: The encoded picture, string [].

    Returns:
        uint8 [height, width, channels].

    Raises:
        tf.errors.InvalidArgumentError: When run, on a picture that cannot be decoded.
    """
    image = tf.switch_case(
        _format(contents),
        {
            _JPEG: lambda: _decode_jpeg(spec, contents),
            _PNG: lambda: _decode_png(spec, contents),
            _GIF: lambda: _decode_gif(spec, contents),
            _BMP: lambda: _decode_bmp(spec, contents),
            _NONE: lambda: tf.zeros([spec.height, spec.width, spec.channels], tf.uint8),
            # Not a format that this op knows either, so that it fails with its own words.
            _OTHER: lambda: tf.io.decode_png(contents, channels=spec.channels),
        },
    )
    image.set_shape([None, None, spec.channels])
    size = [spec.height, spec.width]
    resized = tf.cond(
        tf.reduce_all(tf.shape(image)[:2] == size),
        lambda: image,
        lambda: _resized(spec, image),
    )
    return tf.ensure_shape(resized, [*size, spec.channels])


def _resized(spec: Wanted, image: tf.Tensor) -> tf.Tensor:
    size = [spec.height, spec.width]
    if not spec.interpolate:
        return tf.image.resize(image, size, tf.image.ResizeMethod.NEAREST_NEIGHBOR)
    return tf.saturate_cast(tf.round(tf.image.resize(image, size)), tf.uint8)


def store(pixels: tf.Tensor, storage: str) -> tf.Tensor:
    """Returns pixels, uint8 [height, width, channels] of a known shape, as a string []."""
    if storage == "jpeg":
        return tf.io.encode_jpeg(pixels, quality=_JPEG_QUALITY)
    if storage == "png":
        return tf.io.encode_png(pixels)
    # A serialized tensor ends with its values; the header before them is the same for every row.
    size = pixels.shape.num_elements()
    return tf.strings.substr(tf.io.serialize_tensor(pixels), -size, size)


def _format(contents: tf.Tensor) -> tf.Tensor:
    """Returns the format's number by the first bytes, int32 []."""
    result = tf.where(contents == "", _NONE, _OTHER)
    for number, magic in _MAGIC.items():
        result = tf.where(tf.strings.substr(contents, 0, len(magic)) == magic, number, result)
    return result


def _unless_huge(
    spec: Wanted, contents: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Returns the contents; fails with `TOO_LARGE` if the header claims more than the limit.

    The comparison fails a conversion rather than an assertion: TFT would keep an assertion alive
    in the analysis too, and read every picture for it.
    """
    area = tf.abs(tf.cast(height, tf.int64)) * tf.abs(tf.cast(width, tf.int64))
    length = tf.strings.as_string(tf.strings.length(contents))
    checked = tf.where(area <= spec.max_pixels, length, TOO_LARGE)
    return tf.strings.substr(contents, 0, tf.strings.to_number(checked, tf.int32))


def _header_ints(
    contents: tf.Tensor, start: int, dtype: tf.DType, *, little_endian: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads two neighbouring integers of a picture's header."""
    field = tf.strings.substr(contents, start, 2 * dtype.size)
    pair = tf.io.decode_raw(field, dtype, little_endian=little_endian)
    return pair[0], pair[1]


def _decode_jpeg(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    """Decodes at the smallest of libjpeg's scales that is no smaller than the wanted size."""
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(contents), num=3)
    channels = min(spec.channels, 3)

    def at(reduction: int) -> Callable[[], tf.Tensor]:
        return lambda: tf.io.decode_jpeg(contents, channels=channels, ratio=reduction)

    contents = _unless_huge(spec, contents, height, width)
    if not spec.interpolate:  # as libjpeg does, in between its scales
        return _with_channels(spec, at(1)(), channels)
    spare = tf.minimum(height // spec.height, width // spec.width)
    scale = tf.reduce_sum([tf.cast(spare >= r, tf.int32) for r in _REDUCTIONS[1:]])
    image = tf.switch_case(scale, [at(reduction) for reduction in _REDUCTIONS])
    return _with_channels(spec, image, channels)


def _decode_png(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    width, height = _header_ints(contents, 16, tf.int32, little_endian=False)
    contents = _unless_huge(spec, contents, height, width)
    if spec.background is None:
        return tf.io.decode_png(contents, channels=spec.channels)
    # Before resizing, so that what transparent pixels hide never bleeds into their neighbours.
    over = _over(tf.io.decode_png(contents, channels=4), spec.background)
    return _with_channels(spec, over, 3)


def _over(image: tf.Tensor, background: tuple[int, int, int]) -> tf.Tensor:
    """Lays a picture over a color: uint8 [height, width, 4] to [height, width, 3]."""
    image = tf.cast(image, tf.int32)
    color, alpha = image[..., :3], image[..., 3:]
    mixed = color * alpha + tf.constant(background) * (_OPAQUE - alpha)
    return tf.cast((mixed + _OPAQUE // 2) // _OPAQUE, tf.uint8)


def _decode_gif(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    width, height = _header_ints(contents, 6, tf.uint16, little_endian=True)
    contents = _unless_huge(spec, contents, height, width)
    # `decode_gif` would return every frame, and an animation has no limit to their number.
    first = tf.io.decode_image(contents, channels=3, expand_animations=False)
    return _with_channels(spec, first, 3)


def _decode_bmp(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    width, height = _header_ints(contents, 18, tf.int32, little_endian=True)
    image = tf.io.decode_bmp(_unless_huge(spec, contents, height, width))
    gray, alpha = tf.shape(image)[2] == 1, tf.shape(image)[2] == 4
    rgb = tf.cond(gray, lambda: tf.repeat(image, 3, axis=2), lambda: image[:, :, :3])
    if spec.channels < 4:
        return _with_channels(spec, rgb, 3)
    opaque = _with_channels(spec, rgb, 3)
    return tf.cond(alpha, lambda: image, lambda: opaque)


def _with_channels(spec: Wanted, image: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns the picture with the declared channels; what has no alpha is opaque."""
    image = tf.ensure_shape(image, [None, None, channels]) if channels else image
    if spec.channels == channels:
        return image
    if spec.channels == 1:
        return tf.image.rgb_to_grayscale(image)
    return tf.concat(
        [image, tf.fill([*tf.unstack(tf.shape(image)[:2]), 1], tf.constant(_OPAQUE, tf.uint8))], 2
    )
