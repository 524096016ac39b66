"""Any number of labels: a probability per class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.network.heads import binary
from trainer.network.heads.head import Head
from trainer.network.heads.multiclass import shape
from trainer.network.scores import LIKELY
from transforms.contract.workspace.manifest import PROBABILITIES_SUFFIX, TargetStatistics


def serve(name: str, statistics: TargetStatistics, output_BC: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns labels and probabilities.

    Returns:
        `<target>`, string [B, C]: the label of a class from a probability of 0.5, else the empty
        string; and `<target>__probabilities`, float32 [B, C].
    """
    labels_BC = tf.where(output_BC >= LIKELY, tf.constant(statistics.labels)[tf.newaxis], "")
    return {name: labels_BC, name + PROBABILITIES_SUFFIX: output_BC}


def predictions(name: str, served: Mapping[str, Any]) -> Any:
    """Returns the probabilities, [B, C]."""
    return served[name + PROBABILITIES_SUFFIX]


HEAD = Head(
    shape=shape,
    activation=lambda _spec: "sigmoid",
    loss=binary.HEAD.loss,
    smoothed_loss=binary.HEAD.smoothed_loss,
    serve=serve,
    predictions=predictions,
    metrics=binary.HEAD.metrics,
)
