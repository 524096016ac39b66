"""Encoded pictures to pixels of one size."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.contract.features import Image
from transforms.pictures import Wanted, decode, store
from transforms.requests import Fitted, Learnt, Request


def requests(name: str, spec: Image, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for nothing, so that the analysis never reads a picture."""
    return ()


def encode(name: str, spec: Image, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns each picture's pixels as the shard stores them, string [batch].

    Raises:
        tf.errors.InvalidArgumentError: When run, on a picture that cannot be decoded; the whole
            batch fails, and the caller finds the row.
    """
    wanted = Wanted(spec.height, spec.width, spec.channels, spec.max_pixels, spec.background)
    return tf.map_fn(
        lambda contents: store(decode(wanted, contents), spec.storage),
        raw,
        fn_output_signature=tf.TensorSpec([], tf.string),
    )


def decode_stored(spec: Image, stored_pixels: tf.Tensor) -> tf.Tensor:
    """Returns stored pixels as the model takes them, uint8 [batch, height, width, channels]."""
    shape = [spec.height, spec.width, spec.channels]
    if spec.storage == "raw":
        return tf.reshape(tf.io.decode_raw(stored_pixels, tf.uint8), [-1, *shape])
    decode = tf.io.decode_jpeg if spec.storage == "jpeg" else tf.io.decode_png
    return tf.map_fn(
        lambda contents: tf.ensure_shape(decode(contents, channels=spec.channels), shape),
        stored_pixels,
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
    )


def stored(spec: Image, learnt: Learnt) -> dict[str, Any]:
    """Returns how the pixels lie in the record."""
    return {"storage": spec.storage}
