"""Encoded pictures to pixels of one size, and pixels to what shards store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from transforms.bad_pictures import TOO_LARGE

_JPEG_QUALITY = 95
_OPAQUE = 255
_NONE, _JPEG, _PNG, _GIF, _BMP, _OTHER = range(6)
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


def decode_each(
    spec: Wanted, contents: tf.Tensor, finish: Callable[[tf.Tensor], Any], signature: Any
) -> Any:
    """Decodes and resizes every picture; none at all is black and transparent.

    Args:
        spec: What it is to become.
        contents: The encoded pictures, string [batch].
        finish: What is made of each, uint8 [height, width, channels].
        signature: The dtype and shape of that, as `tf.map_fn` takes it.

    Returns:
        What `finish` gave, stacked.

    Raises:
        tf.errors.InvalidArgumentError: When run, on a picture that cannot be decoded.
    """

    def by(decoders: _Decoders) -> Callable[[], Any]:
        def one(picture: tf.Tensor, format_: tf.Tensor) -> Any:
            return finish(_decode(spec, picture, format_, decoders))

        given = (contents, formats)
        return lambda: tf.map_fn(lambda g: one(*g), given, fn_output_signature=signature)

    # A branch that is not taken costs as much as it has nodes. Those of all formats would add a
    # quarter to what decoding a small JPEG takes, and most columns are JPEGs only.
    formats = _formats(contents)
    return tf.cond(tf.reduce_all(formats < len(_USUAL)), by(_USUAL), by(_USUAL | _OTHERS))


def _decode(
    spec: Wanted, contents: tf.Tensor, format_: tf.Tensor, decoders: _Decoders
) -> tf.Tensor:
    branches = {number: partial(decoder, spec, contents) for number, decoder in decoders.items()}
    image = tf.switch_case(format_, branches)
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
    """Returns pixels, uint8 [height, width, channels], as they are or encoded as a string []."""
    if storage == "jpeg":
        return tf.io.encode_jpeg(pixels, quality=_JPEG_QUALITY)
    return tf.io.encode_png(pixels) if storage == "png" else pixels


def stored_spec(shape: tuple[int, ...], storage: str) -> tf.TensorSpec:
    """Returns what `store` makes of pixels of a shape."""
    return tf.TensorSpec(shape, tf.uint8) if storage == "raw" else tf.TensorSpec([], tf.string)


def _formats(contents: tf.Tensor) -> tf.Tensor:
    """Returns the formats' numbers by the first bytes, int32 [batch]."""
    result = tf.where(contents == "", _NONE, _OTHER)
    for number, magic in _MAGIC.items():
        result = tf.where(tf.strings.substr(contents, 0, len(magic)) == magic, number, result)
    return result


def _unless_huge(
    spec: Wanted, contents: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Returns the contents; fails with `TOO_LARGE` if the header claims more than the limit.

    The comparison fails a conversion rather than an assertion, which costs more nodes.
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
    size = tf.image.extract_jpeg_shape(contents, tf.int64)[:2]
    channels = min(spec.channels, 3)
    # libjpeg's scales interpolate.
    reductions = _REDUCTIONS if spec.interpolate else _REDUCTIONS[:1]

    def at(reduction: int) -> tf.Tensor:
        return tf.io.decode_jpeg(contents, channels=channels, ratio=reduction)

    def refuse() -> tf.Tensor:
        return tf.cast(tf.fill([1, 1, channels], tf.strings.to_number(TOO_LARGE)), tf.uint8)

    spare = tf.reduce_min(size // [spec.height, spec.width])
    scale = tf.math.count_nonzero(spare >= reductions[1:], dtype=tf.int32)
    too_large = tf.reduce_prod(size) > spec.max_pixels
    branches = [partial(at, reduction) for reduction in reductions]
    image = tf.switch_case(tf.where(too_large, len(branches), scale), [*branches, refuse])
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


def _no_picture(spec: Wanted, _contents: tf.Tensor) -> tf.Tensor:
    return tf.zeros([spec.height, spec.width, spec.channels], tf.uint8)


def _unknown(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    """Fails with the words of an op that does not know the format either."""
    return tf.io.decode_png(contents, channels=spec.channels)


_Decoders = dict[int, Callable[[Wanted, tf.Tensor], tf.Tensor]]
_USUAL: _Decoders = {_NONE: _no_picture, _JPEG: _decode_jpeg}
_OTHERS: _Decoders = {_PNG: _decode_png, _GIF: _decode_gif, _BMP: _decode_bmp, _OTHER: _unknown}
