"""What a target kind is to the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.network.scores import Score
from transforms.contract.workspace.manifest import StoredFeature, TargetStatistics

Served = Mapping[str, Any]


def unchanged(statistics: TargetStatistics, values: np.ndarray) -> np.ndarray:
    """Returns the values: they are stored in the caller's own unit."""
    del statistics
    return values


@dataclass(frozen=True)
class Head:
    """One target kind. B batch, C classes; every function takes the target's declaration.

    Attributes:
        shape: The output's shape in a row, for a stored target.
        activation: Of the output's layer.
        loss: Between the stored target, [B, 1] or [B, *its shape], and the output.
        serve: From name, statistics and the output to what a caller gets, by output name.
        predictions: From what a caller got back to what metrics take: a probability [B], class
            probabilities [B, C], or numbers in the column's unit [B, ...].
        in_unit: Stored truths as metrics take them.
        standardized: Predictions back on the scale that the loss is computed on.
        metrics: The metric of every declared name.
        smoothed_loss: The loss with the declared `label_smoothing`, of a kind that has it.
    """

    shape: Callable[[Any, StoredFeature], tuple[int, ...]]
    activation: Callable[[Any], str]
    loss: Callable[[Any], keras.losses.Loss]
    serve: Callable[[str, TargetStatistics, tf.Tensor], dict[str, tf.Tensor]]
    predictions: Callable[[str, Served], Any]
    metrics: Mapping[str, Callable[[Any], Score]]
    in_unit: Callable[[TargetStatistics, np.ndarray], np.ndarray] = unchanged
    standardized: Callable[[TargetStatistics, np.ndarray], np.ndarray] = unchanged
    smoothed_loss: Callable[[Any], keras.losses.Loss] | None = None

    def training_loss(self, spec: Any) -> keras.losses.Loss:
        """Returns the loss that is minimized; evaluations, on plain labels, take `loss`."""
        return (self.smoothed_loss or self.loss)(spec)

    def build(
        self, name: str, spec: Any, stored: StoredFeature, x_BD: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Returns the output, [B, *shape]; it is float32 in mixed precision too.

        Args:
            name: The target's name, and the output's layer's.
            spec: The target's declaration.
            stored: What the shards hold of it.
            x_BD: What the fusion gives, or what the decoder gives, [B, H, W, F].
        """
        shape = self.shape(spec, stored)
        units = int(np.prod(shape))
        flat = {"activation": self.activation(spec), "dtype": "float32"}
        if len(x_BD.shape) == 4:
            return keras.layers.Conv2D(shape[-1], 1, name=name, **flat)(x_BD)
        if len(shape) == 1:
            return keras.layers.Dense(units, name=name, **flat)(x_BD)
        x_BD = keras.layers.Dense(units, name=f"{name}.flat", **flat)(x_BD)
        return keras.layers.Reshape(shape, dtype="float32", name=name)(x_BD)
