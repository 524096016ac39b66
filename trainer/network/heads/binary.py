"""Yes or no: a probability."""

from __future__ import annotations

import tensorflow as tf

from trainer.network.heads.head import Head
from trainer.network.losses import RowLoss
from trainer.network.ordered_scores import Ranked, average_precision, roc_auc
from trainer.network.scores import (
    CalibrationError,
    Counted,
    Mean,
    agrees,
    binary_log_loss,
    f1,
    precision,
    recall,
)
from transforms.contract.workspace.manifest import TargetStatistics


def serve(name: str, statistics: TargetStatistics, output_B1: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the probability of "yes", float32 [B]."""
    del statistics
    return {name: tf.reshape(output_B1, [-1])}


HEAD = Head(
    shape=lambda _spec, _stored: (1,),
    activation=lambda _spec: "sigmoid",
    loss=lambda spec: RowLoss(spec.loss),
    smoothed_loss=lambda spec: RowLoss(spec.loss, spec.label_smoothing),
    serve=serve,
    metrics={
        "auc": lambda _spec: Ranked(roc_auc),
        "average_precision": lambda _spec: Ranked(average_precision),
        "precision": lambda _spec: Counted(precision),
        "recall": lambda _spec: Counted(recall),
        "f1": lambda _spec: Counted(f1),
        "accuracy": lambda _spec: Mean(agrees),
        "log_loss": lambda _spec: Mean(binary_log_loss),
        "calibration_error": lambda _spec: CalibrationError(),
    },
)
