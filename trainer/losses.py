"""Losses as one number a row, whatever the target's shape; one function per loss, in one table.

So a row's weight, its mask or its class's, multiplies the row's loss and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

# From truth and prediction, [B, ...] each, to losses [B, ...]. "focal" is Lin et al., "Focal Loss
# for Dense Object Detection", 2017.
LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mse": keras.losses.mean_squared_error,
    "mae": keras.losses.mean_absolute_error,
    "huber": keras.losses.huber,
    "binary_crossentropy": keras.losses.binary_crossentropy,
    "focal": keras.losses.binary_focal_crossentropy,
    "crossentropy": keras.losses.sparse_categorical_crossentropy,
}

# Those of them whose target is a measured value and not a class.
REGRESSION_LOSSES = frozenset({"mse", "mae", "huber"})


@keras.saving.register_keras_serializable(package="braid")
class RowLoss(keras.losses.Loss):  # type: ignore[misc]
    """The mean of a loss over everything in a row.

    Args:
        loss: Its name in `LOSSES`.
    """

    def __init__(self, loss: str, **options: Any) -> None:
        super().__init__(**{"name": loss, **options})
        self.loss = loss

    def call(self, truth: Any, prediction: Any) -> Any:
        """Returns the losses of the rows, [B]."""
        losses = LOSSES[self.loss](truth, prediction)
        inner = tuple(range(1, len(losses.shape)))
        return keras.ops.mean(losses, axis=inner) if inner else losses

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the loss again."""
        return {**super().get_config(), "loss": self.loss}
