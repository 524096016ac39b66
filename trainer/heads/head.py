"""What a target kind is to the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from transforms.contract.manifest import StoredFeature, TargetStatistics


@dataclass(frozen=True)
class Head:
    """One target kind. B batch, C classes.

    Attributes:
        width: The number of the head's outputs for a stored target.
        activation: Of the head's layer.
        loss: The loss between the stored target [B, 1] and the head's output [B, width].
        serve: From the head's output to what a caller gets, by output name.
        predictions: From what a caller got back to what metrics take: a probability [B], class
            probabilities [B, C] or a number in the column's unit [B].
        metrics: The metric of every declared name.
    """

    width: Callable[[StoredFeature], int]
    activation: str
    loss: Callable[[Any], keras.losses.Loss]
    serve: Callable[[str, TargetStatistics, tf.Tensor], dict[str, tf.Tensor]]
    predictions: Callable[[str, Mapping[str, Any]], Any]
    metrics: Mapping[str, Callable[[], keras.metrics.Metric]]

    def layer(self, name: str, stored: StoredFeature) -> keras.layers.Layer:
        """Returns the output layer; it is float32 in mixed precision too."""
        return keras.layers.Dense(
            self.width(stored), activation=self.activation, dtype="float32", name=name
        )
