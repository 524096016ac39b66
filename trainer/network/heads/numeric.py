"""A number or a vector, learnt on a scale of its training rows and given in the column's unit."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from trainer.network.heads.head import Head
from trainer.network.heads.scales import in_unit, predicted, standardized
from trainer.network.losses import RowLoss
from trainer.network.ordered_scores import MedianAbsoluteError
from trainer.network.scores import (
    R2,
    Mean,
    absolute_error,
    relative_error,
    squared_error,
)
from transforms.contract.columns.targets import NumericTarget
from transforms.contract.workspace.manifest import StoredFeature, TargetStatistics


def shape(spec: NumericTarget, stored: StoredFeature) -> tuple[int, ...]:
    """Returns how many numbers a row has."""
    del spec
    return stored.shape or (1,)


def serve(name: str, statistics: TargetStatistics, output: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the numbers in the column's unit, float32 [B], or [B, *shape] of a vector."""
    values = predicted(statistics, output)
    return {name: tf.reshape(values, [-1]) if output.shape[1:] == (1,) else values}


HEAD = Head(
    shape=shape,
    activation=lambda _spec: "linear",
    loss=lambda spec: RowLoss(spec.loss),
    serve=serve,
    in_unit=in_unit,
    standardized=standardized,
    metrics={
        "mae": lambda _spec: Mean(absolute_error),
        "rmse": lambda _spec: Mean(squared_error, np.sqrt),
        "r2": lambda _spec: R2(),
        "mape": lambda _spec: Mean(relative_error),
        "median_absolute_error": lambda _spec: MedianAbsoluteError(),
    },
)
