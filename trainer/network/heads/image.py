"""Pictures: a probability, the classes' probabilities or a quantity for every pixel.

B batch, H height, W width, C channels or classes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.network.heads.head import Head, probabilities
from trainer.network.losses import RowLoss
from transforms.contract.columns.targets import ClassMask
from transforms.contract.workspace.manifest import (
    PROBABILITIES_SUFFIX,
    StoredFeature,
    TargetStatistics,
)

_LEAST_ERROR = 1e-10  # that of 100 dB, so that a perfect prediction has a finite ratio


@keras.saving.register_keras_serializable(package="braid")
class Dice(keras.metrics.Metric):  # type: ignore[misc]
    """Twice the common foreground by the sum of both, over all pixels of all rows.

    Foreground is a probability of one half or more; without any on either side it is 1.
    """

    def __init__(self, name: str = "dice", **options: Any) -> None:
        super().__init__(name=name, **options)
        self._common = self.add_weight(initializer="zeros", name="common")
        self._sizes = self.add_weight(initializer="zeros", name="sizes")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of masks, 0 or 1, and probabilities."""
        if sample_weight is not None:
            raise NotImplementedError("masked rows are left out before")
        ops = keras.ops
        truth = ops.cast(y_true, "float32")
        predicted = ops.cast(ops.convert_to_tensor(y_pred) >= 0.5, "float32")
        self._common.assign_add(2 * ops.sum(truth * predicted))
        self._sizes.assign_add(ops.sum(truth) + ops.sum(predicted))

    def result(self) -> Any:
        """Returns the coefficient, from 0 to 1."""
        ops = keras.ops
        return ops.where(self._sizes > 0, self._common / ops.maximum(self._sizes, 1.0), 1.0)


@keras.saving.register_keras_serializable(package="braid")
class Psnr(keras.metrics.MeanSquaredError):  # type: ignore[misc]
    """The peak signal-to-noise ratio in dB of all pixels of all rows; the peak is 1."""

    def __init__(self, name: str = "psnr", **options: Any) -> None:
        super().__init__(name=name, **options)

    def result(self) -> Any:
        """Returns the ratio; that of a perfect prediction is 100."""
        error = keras.ops.maximum(super().result(), _LEAST_ERROR)
        return -10 * keras.ops.log10(error)


class OfPixels:
    """A Keras metric of all pixels as a `Score`.

    Args:
        metric: The metric.
    """

    def __init__(self, metric: keras.metrics.Metric) -> None:
        self._metric = metric
        self._has_rows = False

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Adds rows of pictures, [B, H, W, C]."""
        self._metric.update_state(truth, prediction)
        self._has_rows |= len(truth) > 0

    def result(self) -> float | None:
        """Returns the metric; None without rows."""
        return float(self._metric.result()) if self._has_rows else None


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
        "iou": lambda _spec: OfPixels(keras.metrics.BinaryIoU(target_class_ids=[1])),
        "dice": lambda _spec: OfPixels(Dice()),
        "accuracy": lambda _spec: OfPixels(keras.metrics.BinaryAccuracy()),
    },
)

CLASS_MASK = Head(
    shape=class_shape,
    activation=lambda _spec: "softmax",
    loss=lambda spec: RowLoss(spec.loss),
    serve=serve_classes,
    predictions=probabilities,
    metrics={
        "mean_iou": lambda spec: OfPixels(keras.metrics.MeanIoU(spec.classes, sparse_y_pred=False)),
        "accuracy": lambda _spec: OfPixels(keras.metrics.SparseCategoricalAccuracy()),
    },
)

CONTINUOUS = _of_pixels(
    activation=lambda spec: spec.activation,
    metrics={
        "mae": lambda _spec: OfPixels(keras.metrics.MeanAbsoluteError()),
        "mse": lambda _spec: OfPixels(keras.metrics.MeanSquaredError()),
        "psnr": lambda _spec: OfPixels(Psnr()),
    },
)
