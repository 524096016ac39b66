"""Losses as one number a row, whatever the target's shape; one function per loss, in one table.

So a row's weight, its mask or its class's, multiplies the row's loss and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def dice(truth: Any, prediction: Any) -> Any:
    """Returns how much of the overlap every row lacks, from 0 to 1, [B].

    Milletari et al., "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image
    Segmentation", 2016; with 1 added to both sides of the fraction, so that a row without any
    foreground has a loss too.
    """
    ops = keras.ops
    truth = ops.cast(truth, prediction.dtype)
    inner = tuple(range(1, len(prediction.shape)))
    overlap_B = ops.sum(truth * prediction, axis=inner)
    sizes_B = ops.sum(ops.square(truth) + ops.square(prediction), axis=inner)
    return 1 - (2 * overlap_B + 1) / (sizes_B + 1)


def crossentropy_dice(truth: Any, prediction: Any) -> Any:
    """Returns the binary cross-entropy of the rows plus what of the overlap they lack, [B]."""
    losses = keras.losses.binary_crossentropy(truth, prediction)
    inner = tuple(range(1, len(losses.shape)))
    return keras.ops.mean(losses, axis=inner) + dice(truth, prediction)


def smoothed_crossentropy(truth: Any, prediction: Any, label_smoothing: float) -> Any:
    """Returns the cross-entropy of class ids [B, 1] that share with all classes alike, [B]."""
    one_hot_BC = keras.ops.one_hot(keras.ops.reshape(truth, (-1,)), prediction.shape[-1])
    crossentropy = keras.losses.categorical_crossentropy
    return crossentropy(one_hot_BC, prediction, label_smoothing=label_smoothing)


# From truth and prediction, [B, ...] each, to losses [B] or [B, ...]. "focal" is Lin et al., "Focal
# Loss for Dense Object Detection", 2017.
LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mse": keras.losses.mean_squared_error,
    "mae": keras.losses.mean_absolute_error,
    "huber": keras.losses.huber,
    "binary_crossentropy": keras.losses.binary_crossentropy,
    "focal": keras.losses.binary_focal_crossentropy,
    "crossentropy": keras.losses.sparse_categorical_crossentropy,
    "dice": dice,
    "crossentropy_dice": crossentropy_dice,
}

# Those of them that take `label_smoothing` too: Szegedy et al., "Rethinking the Inception
# Architecture for Computer Vision", 2016.
SMOOTHED: dict[str, Callable[..., Any]] = {
    "binary_crossentropy": keras.losses.binary_crossentropy,
    "focal": keras.losses.binary_focal_crossentropy,
    "crossentropy": smoothed_crossentropy,
}

# Those of them whose target is a measured value and not a class.
REGRESSION_LOSSES = frozenset({"mse", "mae", "huber"})


@keras.saving.register_keras_serializable(package="braid")
class RowLoss(keras.losses.Loss):  # type: ignore[misc]
    """The mean of a loss over everything in a row.

    Args:
        loss: Its name in `LOSSES`.
        label_smoothing: How much of a label goes to all classes alike, for a loss in `SMOOTHED`.
    """

    def __init__(self, loss: str, label_smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**{"name": loss, **options})
        self.loss = loss
        self.label_smoothing = label_smoothing

    def call(self, truth: Any, prediction: Any) -> Any:
        """Returns the losses of the rows, [B]."""
        if self.label_smoothing:
            smoothed = SMOOTHED[self.loss]
            losses = smoothed(truth, prediction, label_smoothing=self.label_smoothing)
        else:
            losses = LOSSES[self.loss](truth, prediction)
        inner = tuple(range(1, len(losses.shape)))
        return keras.ops.mean(losses, axis=inner) if inner else losses

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the loss again."""
        return {**super().get_config(), "loss": self.loss, "label_smoothing": self.label_smoothing}
