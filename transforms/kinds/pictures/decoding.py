"""Encoded pictures to pixels of one size, and pixels to what shards store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from transforms.kinds.pictures.gif import first_frame
from transforms.kinds.pictures.refusals import TOO_COSTLY, TOO_LARGE, UNDECODABLE

_JPEG_QUALITY = 95
_OPAQUE = 255
_NONE, _JPEG, _PNG, _GIF, _BMP, _OTHER = range(6)
_INTEGERS = {"u4": tf.uint32, "u2": tf.uint16, "i4": tf.int32}
_MAGIC = {_JPEG: b"\xff\xd8\xff", _PNG: b"\x89PNG\r\n\x1a\n", _GIF: b"GIF8", _BMP: b"BM"}
_REDUCTIONS = (1, 2, 4, 8)  # what libjpeg can scale down by while it decodes
_HEADER_BYTES = 32  # the formats' sizes are among them
_PNG_HEADER = b"\0\0\0\rIHDR"  # the first chunk; libpng passes over others that come before it
# A progressive JPEG has some ten scans. Each costs a visit of every pixel, for a dozen bytes
# (libjpeg-turbo, "Two Issues with the JPEG Standard"): 35 ms at 50 million pixels. The third byte
# is the upper one of the header's length, which is never above 14; two would be met by chance in
# the film that a telephone appends.
_SCAN = b"\xff\xda\0"
_MOST_SCANS = 64
# libpng inflates each of a PNG's compressed texts (zTXt, iTXt), to 8 MB and in 40 ms from 8 kB.
_COMPRESSED_TEXT = b"TXt"
_MOST_TEXTS = 16


@dataclass(frozen=True)
class Wanted:
    """The picture that is to be made of one.

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
    heads = _heads(contents)
    formats = _formats(contents, heads)

    def each(pictures: tf.Tensor, formats: tf.Tensor, decoders: _Decoders) -> Any:
        def one(picture: tf.Tensor, format_: tf.Tensor) -> Any:
            return finish(_decode(spec, picture, format_, decoders))

        return tf.map_fn(lambda g: one(*g), (pictures, formats), fn_output_signature=signature)

    def usual() -> Any:
        return each(contents, formats, _USUAL)

    def any_format() -> Any:
        accepted = _unless(_refused(spec, heads, formats), formats)
        pictures = _first_frames(spec, contents, accepted)
        return each(pictures, accepted, _USUAL | _OTHERS)

    # A branch that is not taken costs as much as it has nodes. Those of all formats would add a
    # quarter to what decoding a small JPEG takes, and most columns are JPEGs only.
    return tf.cond(tf.reduce_all(formats < len(_USUAL)), usual, any_format)


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


def _heads(contents: tf.Tensor) -> tf.Tensor:
    """Returns the first bytes, uint8 [batch, 32]; after the end of a short picture they are 0."""
    head = tf.strings.substr(contents, 0, _HEADER_BYTES)
    return tf.io.decode_raw(head, tf.uint8, fixed_length=_HEADER_BYTES)


def _formats(contents: tf.Tensor, heads: tf.Tensor) -> tf.Tensor:
    """Returns the formats' numbers by the first bytes, int32 [batch]."""
    result = tf.where(contents == "", _NONE, _OTHER)
    for number, magic in _MAGIC.items():
        result = tf.where(_reads(heads, 0, magic), number, result)
    return result


def _reads(heads: tf.Tensor, start: int, octets: bytes) -> tf.Tensor:
    """Returns whether the bytes from a place on are these, bool [batch]."""
    return tf.reduce_all(heads[:, start : start + len(octets)] == list(octets), axis=1)


def _refused(spec: Wanted, heads: tf.Tensor, formats: tf.Tensor) -> tf.Tensor:
    """Returns why a picture is refused by its header, string [batch]; empty if it is not.

    A JPEG has its size further on. What is of no known format is given to no decoder:
    TensorFlow's look for formats of their own, and would decode a WebP of any size.
    """
    none = tf.zeros_like(formats, tf.int64)
    width = height = none
    for number, start, dtype in (
        (_PNG, 16, ">u4"),
        (_GIF, 6, "<u2"),
        (_BMP, 18, "<i4"),
    ):
        sizes = _header_integers(heads, start, dtype)
        width = tf.where(formats == number, sizes[:, 0], width)
        height = tf.where(formats == number, sizes[:, 1], height)
    unknown = (formats == _OTHER) | ((formats == _PNG) & ~_reads(heads, 8, _PNG_HEADER))
    reason = tf.where(tf.abs(width) * tf.abs(height) > spec.max_pixels, TOO_LARGE, "")
    return tf.where(unknown, UNDECODABLE, reason)


def _header_integers(heads: tf.Tensor, start: int, dtype: str) -> tf.Tensor:
    """Reads two neighbouring integers of a header, in numpy's notation, int64 [batch, 2]."""
    order, kind, size = dtype[0], dtype[1], int(dtype[2])
    octets = tf.reshape(heads[:, start : start + 2 * size], [-1, 2, size])
    if order == ">":
        octets = octets[..., ::-1]
    return tf.cast(tf.bitcast(octets, _INTEGERS[f"{kind}{size}"]), tf.int64)


def _unless(refused: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Returns int32 numbers; fails with the first reason that is not empty.

    The reason stands for a number and fails to be one: that costs fewer nodes than an assertion,
    and the error quotes nothing of the picture. A control dependency would be optimized away.
    """
    texts = tf.where(refused == "", tf.strings.as_string(numbers), refused)
    return tf.strings.to_number(texts, tf.int32)


def _more_than(most: int, octets: bytes, contents: tf.Tensor) -> tf.Tensor:
    """Returns whether a picture has these bytes more often than `most` times, bool []."""
    return tf.raw_ops.StringSplitV2(input=[contents], sep=octets).shape[1] > most + 1


def _first_frames(spec: Wanted, contents: tf.Tensor, formats: tf.Tensor) -> tf.Tensor:
    """Returns the pictures, string [batch], the GIFs among them without their later frames."""

    def one(picture: tf.Tensor, format_: tf.Tensor) -> tf.Tensor:
        cut = partial(first_frame, picture, spec.max_pixels)
        return tf.cond(format_ == _GIF, cut, lambda: picture)

    def each() -> tf.Tensor:
        return tf.map_fn(lambda g: one(*g), (contents, formats), fn_output_signature=tf.string)

    return tf.cond(tf.reduce_any(formats == _GIF), each, lambda: contents)


def _decode_jpeg(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    """Decodes at the smallest of libjpeg's scales that is no smaller than the wanted size."""
    size = tf.image.extract_jpeg_shape(contents, tf.int64)[:2]
    channels = min(spec.channels, 3)
    # libjpeg's scales interpolate.
    reductions = _REDUCTIONS if spec.interpolate else _REDUCTIONS[:1]

    def at(reduction: int) -> tf.Tensor:
        return tf.io.decode_jpeg(contents, channels=channels, ratio=reduction)

    too_large = tf.reduce_prod(size) > spec.max_pixels
    refused = too_large | _more_than(_MOST_SCANS, _SCAN, contents)

    def refuse() -> tf.Tensor:
        reason = tf.where(too_large, TOO_LARGE, TOO_COSTLY)
        return tf.cast(tf.fill([1, 1, channels], tf.strings.to_number(reason)), tf.uint8)

    spare = tf.reduce_min(size // [spec.height, spec.width])
    scale = tf.math.count_nonzero(spare >= reductions[1:], dtype=tf.int32)
    branches = [partial(at, reduction) for reduction in reductions]
    image = tf.switch_case(tf.where(refused, len(branches), scale), [*branches, refuse])
    return _with_channels(spec, image, channels)


def _decode_png(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    costly = _more_than(_MOST_TEXTS, _COMPRESSED_TEXT, contents)
    length = _unless(tf.where(costly, TOO_COSTLY, ""), tf.strings.length(contents))
    contents = tf.strings.substr(contents, 0, length)
    if spec.background is None:
        return tf.io.decode_png(contents, channels=spec.channels)
    # Before resizing, so that what transparent pixels hide never bleeds into their neighbours.
    over = _over(tf.io.decode_png(contents, channels=4), spec.background)
    return _with_channels(spec, over, 3)


def _over(image: tf.Tensor, background: tuple[int, int, int]) -> tf.Tensor:
    """Lays a picture over a color: uint8 [height, width, 4] to [height, width, 3]."""
    image = tf.cast(image, tf.uint16)  # which holds 255 * 255 and half of a 255
    color, alpha = image[..., :3], image[..., 3:]
    mixed = color * alpha + tf.constant(background, tf.uint16) * (_OPAQUE - alpha)
    return tf.cast((mixed + _OPAQUE // 2) // _OPAQUE, tf.uint8)


def _decode_gif(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    # Not `decode_gif`, which returns a list of frames.
    first = tf.io.decode_image(contents, channels=3, expand_animations=False)
    return _with_channels(spec, first, 3)


def _decode_bmp(spec: Wanted, contents: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_bmp(contents)
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


_Decoders = dict[int, Callable[[Wanted, tf.Tensor], tf.Tensor]]
_USUAL: _Decoders = {_NONE: _no_picture, _JPEG: _decode_jpeg}
_OTHERS: _Decoders = {_PNG: _decode_png, _GIF: _decode_gif, _BMP: _decode_bmp}
