"""Any number of labels: a probability per class."""

from __future__ import annotations

import tensorflow as tf

from trainer.network.heads import binary
from trainer.network.heads.head import Head, probabilities
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


HEAD = Head(
    shape=shape,
    activation=lambda _spec: "sigmoid",
    loss=binary.HEAD.loss,
    smoothed_loss=binary.HEAD.smoothed_loss,
    serve=serve,
    predictions=probabilities,
    metrics=binary.HEAD.metrics,
)
