"""Encoded pictures to pixels of one size."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.contract.columns.features import Image
from transforms.kinds.pictures.decoding import Wanted, decode_each, store, stored_spec
from transforms.kinds.requests import Fitted, Learnt, Request


def requests(name: str, spec: Image, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for nothing, so that the analysis never reads a picture."""
    return ()


def encode(name: str, spec: Image, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns each picture as the shard stores it, uint8 [batch, *layout] or string [batch].

    Raises:
        tf.errors.InvalidArgumentError: When run, on a picture that cannot be decoded; the whole
            batch fails, and the caller finds the row.
    """
    wanted = Wanted(spec.height, spec.width, spec.channels, spec.max_pixels, spec.background)
    _, shape = spec.layout()
    signature = stored_spec(shape, spec.storage)
    return decode_each(wanted, raw, lambda pixels: store(pixels, spec.storage), signature)


def decode_stored(spec: Image, stored_pixels: tf.Tensor) -> tf.Tensor:
    """Returns stored pixels as the model takes them, uint8 [batch, height, width, channels]."""
    shape = [spec.height, spec.width, spec.channels]
    if spec.storage == "raw":
        return stored_pixels
    decode = tf.io.decode_jpeg if spec.storage == "jpeg" else tf.io.decode_png
    return tf.map_fn(
        lambda contents: tf.ensure_shape(decode(contents, channels=spec.channels), shape),
        stored_pixels,
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
    )


def stored(spec: Image, learnt: Learnt) -> dict[str, Any]:
    """Returns how the pixels lie in the record."""
    return {"storage": spec.storage}
