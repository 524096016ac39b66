"""Yes or no: a probability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from trainer.heads.head import Head
from trainer.losses import RowLoss
from transforms.contract.manifest import TargetStatistics

# Finer than Keras's 200: near a threshold of the gate, 200 bins are off by a thousandth.
AUC_THRESHOLDS = 1000


def serve(name: str, statistics: TargetStatistics, output_B1: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the probability of "yes", float32 [B]."""
    del statistics
    return {name: tf.reshape(output_B1, [-1])}


def predictions(name: str, served: Mapping[str, Any]) -> Any:
    """Returns the probability, [B]."""
    return served[name]


HEAD = Head(
    shape=lambda _spec, _stored: (1,),
    activation=lambda _spec: "sigmoid",
    loss=lambda spec: RowLoss(spec.loss),
    serve=serve,
    predictions=predictions,
    metrics={
        "auc": lambda _spec: keras.metrics.AUC(num_thresholds=AUC_THRESHOLDS),
        "precision": lambda _spec: keras.metrics.Precision(),
        "recall": lambda _spec: keras.metrics.Recall(),
        "accuracy": lambda _spec: keras.metrics.BinaryAccuracy(),
    },
)
