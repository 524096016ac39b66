"""Pictures: a probability, the classes' probabilities or a quantity for every pixel.

B batch, H height, W width, C channels or classes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from trainer.network import pixel_scores
from trainer.network.heads.head import Head, probabilities
from trainer.network.losses import RowLoss
from trainer.network.scores import Mean, absolute_error, squared_error
from transforms.contract.columns.targets import ClassMask
from transforms.contract.workspace.manifest import (
    PROBABILITIES_SUFFIX,
    StoredFeature,
    TargetStatistics,
)


def stored_shape(spec: Any, stored: StoredFeature) -> tuple[int, ...]:
    """Returns the stored picture's shape."""
    del spec
    return stored.shape


def class_shape(spec: ClassMask, stored: StoredFeature) -> tuple[int, ...]:
    """Returns the stored picture's shape with an entry for every class."""
    return (*stored.shape[:2], spec.classes)


def serve(name: str, statistics: TargetStatistics, output_BHWC: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the output as it is, float32 [B, H, W, C]."""
    del statistics
    return {name: output_BHWC}


def serve_classes(
    name: str, statistics: TargetStatistics, output_BHWC: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the likeliest class, uint8 [B, H, W, 1], and each one's probability, float32."""
    del statistics
    classes_BHW1 = tf.cast(tf.argmax(output_BHWC, axis=-1), tf.uint8)[..., tf.newaxis]
    return {name: classes_BHW1, name + PROBABILITIES_SUFFIX: output_BHWC}


# What every pixel has is served as it is.
_of_pixels = partial(
    Head,
    shape=stored_shape,
    loss=lambda spec: RowLoss(spec.loss),
    serve=serve,
)

BINARY_MASK = _of_pixels(
    activation=lambda _spec: "sigmoid",
    metrics={
        "iou": lambda _spec: pixel_scores.intersection_over_union(),
        "dice": lambda _spec: pixel_scores.dice(),
        "accuracy": lambda _spec: Mean(pixel_scores.agrees_by_pixel),
    },
)

CLASS_MASK = Head(
    shape=class_shape,
    activation=lambda _spec: "softmax",
    loss=lambda spec: RowLoss(spec.loss),
    serve=serve_classes,
    predictions=probabilities,
    metrics={
        "mean_iou": lambda spec: pixel_scores.mean_intersection_over_union(spec.classes),
        "accuracy": lambda _spec: Mean(pixel_scores.class_agrees),
    },
)

CONTINUOUS = _of_pixels(
    activation=lambda spec: spec.activation,
    metrics={
        "mae": lambda _spec: Mean(absolute_error),
        "mse": lambda _spec: Mean(squared_error),
        "psnr": lambda _spec: pixel_scores.peak_signal_to_noise(),
    },
)
