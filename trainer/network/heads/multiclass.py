"""One label of several: a probability per class."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from trainer.network.heads.head import Head, Served, probabilities
from trainer.network.losses import RowLoss
from trainer.network.scores import CalibrationError, MacroF1, Mean, class_log_loss, is_among
from transforms.contract.columns.targets import TargetSpec
from transforms.contract.workspace.manifest import (
    PROBABILITIES_SUFFIX,
    StoredFeature,
    TargetStatistics,
)


def shape(spec: TargetSpec, stored: StoredFeature) -> tuple[int, ...]:
    """Returns the number of classes."""
    del spec
    if stored.cardinality is None:
        raise ValueError(f"{stored.name} has no classes")
    return (stored.cardinality,)


def serve(name: str, statistics: TargetStatistics, output_BC: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the likeliest label, string [B], and every class's probability, float32 [B, C]."""
    labels_B = tf.gather(tf.constant(statistics.labels), tf.argmax(output_BC, axis=-1))
    return {name: labels_B, name + PROBABILITIES_SUFFIX: output_BC}


def deviation(name: str, members: Sequence[Served], output_BC: tf.Tensor) -> tf.Tensor:
    """Returns the standard deviation of the members' probabilities of the label that is answered.

    Returns:
        float32 [B].
    """
    answered_B = tf.argmax(output_BC, axis=-1)
    all_MBC = tf.stack([served[name + PROBABILITIES_SUFFIX] for served in members])
    return tf.gather(tf.math.reduce_std(all_MBC, axis=0), answered_B, axis=1, batch_dims=1)


HEAD = Head(
    shape=shape,
    activation=lambda _spec: "softmax",
    loss=lambda _spec: RowLoss("crossentropy"),
    smoothed_loss=lambda spec: RowLoss("crossentropy", spec.label_smoothing),
    serve=serve,
    predictions=probabilities,
    deviation=deviation,
    metrics={
        "accuracy": lambda _spec: Mean(is_among(1)),
        "top_3_accuracy": lambda _spec: Mean(is_among(3)),
        "top_5_accuracy": lambda _spec: Mean(is_among(5)),
        "f1": lambda _spec: MacroF1(),
        "log_loss": lambda _spec: Mean(class_log_loss),
        "calibration_error": lambda _spec: CalibrationError(),
    },
)
