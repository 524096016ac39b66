"""A target kind as the model knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.network.axes import Axis, classes_of, with_axes
from trainer.network.scores import Score
from transforms.contract.workspace.manifest import (
    PROBABILITIES_SUFFIX,
    StoredFeature,
    TargetStatistics,
)

Served = Mapping[str, Any]


def unchanged(statistics: TargetStatistics, values: np.ndarray) -> np.ndarray:
    """Returns the values: they are stored in the caller's own unit."""
    del statistics
    return values


def served_values(name: str, served: Served) -> Any:
    """Returns what is served under the target's own name: a probability, numbers or pixels."""
    return served[name]


def probabilities(name: str, served: Served) -> Any:
    """Returns the probabilities of all classes, which are served beside a label or a class."""
    return served[name + PROBABILITIES_SUFFIX]


def deviation(name: str, members: Sequence[Served], output: tf.Tensor) -> tf.Tensor:
    """Returns the standard deviation of what the members answer, of its shape."""
    del output
    return tf.math.reduce_std(tf.stack([served[name] for served in members]), axis=0)


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
        deviation: From the name, what a caller would get from each member, and the output of all,
            to how far the members lie apart, a number for each that is answered.
    """

    shape: Callable[[Any, StoredFeature], tuple[int, ...]]
    activation: Callable[[Any], str]
    loss: Callable[[Any], keras.losses.Loss]
    serve: Callable[[str, TargetStatistics, tf.Tensor], dict[str, tf.Tensor]]
    metrics: Mapping[str, Callable[[Any], Score]]
    predictions: Callable[[str, Served], Any] = served_values
    in_unit: Callable[[TargetStatistics, np.ndarray], np.ndarray] = unchanged
    standardized: Callable[[TargetStatistics, np.ndarray], np.ndarray] = unchanged
    smoothed_loss: Callable[[Any], keras.losses.Loss] | None = None
    deviation: Callable[[str, Sequence[Served], tf.Tensor], tf.Tensor] = deviation

    def training_loss(self, spec: Any) -> keras.losses.Loss:
        """Returns the loss that is minimized; evaluations, on plain labels, take `loss`."""
        return (self.smoothed_loss or self.loss)(spec)

    def build(
        self,
        name: str,
        spec: Any,
        stored: StoredFeature,
        x_BD: keras.KerasTensor,
        entries: Axis = None,
    ) -> keras.KerasTensor:
        """Returns the output, [B, *shape]; it is float32 in mixed precision too.

        Args:
            name: The target's name, and the output's layer's.
            spec: The target's declaration.
            stored: What the shards hold of it.
            x_BD: What the fusion gives, or what the decoder gives, [B, H, W, F].
            entries: What the numbers of the fusion's vector stand for.
        """
        shape = self.shape(spec, stored)
        units = int(np.prod(shape))
        flat = {"activation": self.activation(spec), "dtype": "float32"}
        if len(x_BD.shape) == 4:
            return keras.layers.Conv2D(shape[-1], 1, name=name, **flat)(x_BD)
        if len(shape) == 1:
            outputs = (classes_of(stored),) if spec.has_classes else None
            dense = keras.layers.Dense(units, name=name, **flat)
            return with_axes(dense, kernel=(entries, outputs), bias=(outputs,))(x_BD)
        dense = keras.layers.Dense(units, name=f"{name}.flat", **flat)
        x_BD = with_axes(dense, kernel=(entries, None))(x_BD)
        return keras.layers.Reshape(shape, dtype="float32", name=name)(x_BD)
