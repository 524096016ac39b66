"""A number, learnt on the standardized scale and given in the column's own unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from trainer.heads.head import Head
from transforms.contract.manifest import TargetStatistics
from transforms.contract.targets import NumericTarget

_LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "mae": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
}


def loss(spec: NumericTarget) -> keras.losses.Loss:
    """Returns the declared loss."""
    return _LOSSES[spec.loss]()


def serve(name: str, statistics: TargetStatistics, output_B1: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the number in the column's unit, float32 [B]."""
    return {name: tf.reshape(output_B1, [-1]) * statistics.scale + statistics.mean}


def predictions(name: str, served: Mapping[str, Any]) -> Any:
    """Returns the number, [B]."""
    return served[name]


HEAD = Head(
    width=lambda _stored: 1,
    activation="linear",
    loss=loss,
    serve=serve,
    predictions=predictions,
    metrics={
        "mae": keras.metrics.MeanAbsoluteError,
        "rmse": keras.metrics.RootMeanSquaredError,
    },
)
