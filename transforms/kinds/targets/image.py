"""Pictures that are predicted, to pixels of one size."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.contract.columns.targets import BinaryMask, ClassMask, ImageTarget
from transforms.contract.workspace.manifest import TargetStatistics
from transforms.kinds.pictures.decoding import Wanted, decode_each, store, stored_spec
from transforms.kinds.requests import Fitted, Learnt, Request

_FOREGROUND = 255  # as a picture shows it; the model learns 0 and 1
_THRESHOLD = 128


def requests(name: str, spec: ImageTarget, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for nothing, so that the analysis never reads a picture."""
    return ()


def encode(
    name: str, spec: ImageTarget, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each picture as the shard stores it, and which are known, bool [batch].

    The first is uint8 [batch, height, width, channels], or string [batch] of an encoded storage.
    A picture with a value that is no class is not known, and stored as class 0 where that is so.

    Raises:
        tf.errors.InvalidArgumentError: When run, on a picture that cannot be decoded; the whole
            batch fails, and the caller finds the row.
    """
    from_alpha = spec.source_channel == "alpha"
    channels = 4 if from_alpha else spec.layout()[1][-1]
    wanted = Wanted(
        spec.height, spec.width, channels, spec.max_pixels, interpolate=not spec.is_mask
    )

    def finish(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = pixels[..., 3:] if from_alpha else pixels
        valid = tf.constant(True)
        if isinstance(spec, BinaryMask):
            pixels = tf.where(pixels >= _THRESHOLD, tf.constant(_FOREGROUND, tf.uint8), 0)
        if isinstance(spec, ClassMask):
            is_class = tf.cast(pixels, tf.int32) < spec.classes
            valid = tf.reduce_all(is_class)
            pixels = tf.where(is_class, pixels, tf.zeros_like(pixels))
        return store(pixels, spec.storage), valid

    _, shape = spec.layout()
    signature = (stored_spec(shape, spec.storage), tf.TensorSpec([], tf.bool))
    stored_pixels, valid = decode_each(wanted, raw, finish, signature)
    return stored_pixels, valid & (raw != "")


def statistics(spec: ImageTarget, learnt: Learnt) -> TargetStatistics:
    """Returns nothing, as the analysis reads no picture."""
    return TargetStatistics()


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns all rows, likewise."""
    return rows


def stored(spec: ImageTarget, learnt: Learnt) -> dict[str, Any]:
    """Returns how the pixels lie in the record, and the number of classes of a class mask."""
    classes = spec.classes if isinstance(spec, ClassMask) else None
    return {"storage": spec.storage, "cardinality": classes}
