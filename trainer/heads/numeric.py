"""A number or a vector, learnt on the standardized scale and given in the column's own unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.heads.head import Head
from trainer.losses import RowLoss
from transforms.contract.manifest import StoredFeature, TargetStatistics
from transforms.contract.targets import NumericTarget


def shape(spec: NumericTarget, stored: StoredFeature) -> tuple[int, ...]:
    """Returns how many numbers a row has."""
    del spec
    return stored.shape or (1,)


def serve(name: str, statistics: TargetStatistics, output: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the numbers in the column's unit, float32 [B], or [B, *shape] of a vector."""
    values = output * tf.constant(statistics.scale) + tf.constant(statistics.mean)
    return {name: tf.reshape(values, [-1]) if output.shape[1:] == (1,) else values}


def predictions(name: str, served: Mapping[str, Any]) -> Any:
    """Returns the numbers."""
    return served[name]


def in_unit(statistics: TargetStatistics, values: np.ndarray) -> np.ndarray:
    """Returns stored numbers in the column's own unit."""
    scale, mean = np.asarray(statistics.scale), np.asarray(statistics.mean)
    return np.asarray(values * scale + mean)


def standardized(statistics: TargetStatistics, values: np.ndarray) -> np.ndarray:
    """Returns numbers in the column's unit as they are stored."""
    return np.asarray((values - np.asarray(statistics.mean)) / np.asarray(statistics.scale))


HEAD = Head(
    shape=shape,
    activation=lambda _spec: "linear",
    loss=lambda spec: RowLoss(spec.loss),
    serve=serve,
    predictions=predictions,
    in_unit=in_unit,
    standardized=standardized,
    metrics={
        "mae": lambda _spec: keras.metrics.MeanAbsoluteError(),
        "rmse": lambda _spec: keras.metrics.RootMeanSquaredError(),
    },
)
