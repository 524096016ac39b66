"""The losses and the metric that people who watch a training are told after each round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.data.stream import Batch, unshaped
from trainer.network.heads import head_of
from trainer.recipe import Recipe
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.process.events import report
from transforms.contract.steps.results import EpochRecord
from transforms.contract.workspace.manifest import TransformManifest

_MOST_ROWS = 4_096
_MOST_BYTES = 32 * 1024 * 1024  # of stored rows: a glance must not take as long as the validation


class WatchedMetric:
    """The first metric of the first target, on some validation rows.

    Nothing is decided by it: the evaluation has all metrics of all rows.

    Args:
        network: From inputs to outputs, by name.
        pipeline: The declaration.
        manifest: What the shards hold.
    """

    def __init__(
        self, network: keras.Model, pipeline: PipelineSpec, manifest: TransformManifest
    ) -> None:
        self._network = network
        self._target, self._spec = next(iter(pipeline.targets.items()))
        self._statistics = manifest.targets[self._target]
        row_bytes = sum(stored.row_bytes() for stored in manifest.stored)
        self._rows = min(_MOST_ROWS, _MOST_BYTES // max(row_bytes, 1))
        self._answer: Any = None

    def of(self, batches: tf.data.Dataset) -> dict[str, float]:
        """Returns the metric of the present weights by its name; empty where it is not defined.

        Args:
            batches: Validation rows, as (inputs, targets, sample weights).
        """
        if self._answer is None:
            signature = [batches.element_spec[0]]
            self._answer = tf.function(self._served, input_signature=signature)
        metric = self._spec.metrics[0]
        score = head_of(self._spec).metrics[metric](self._spec)
        for prediction, truth in self._labelled(batches):
            score.update(truth, prediction)
        result = score.result()
        return {} if result is None else {f"val_{metric}": float(result)}

    def _served(self, inputs: dict[str, tf.Tensor]) -> Any:
        output = self._network(inputs, training=False)[self._target]
        head = head_of(self._spec)
        served = head.serve(self._target, self._statistics, output)
        return head.predictions(self._target, served)

    def _labelled(self, batches: Iterable[Batch]) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Yields predictions and truths of the rows with a label, of the first rows alone."""
        seen = 0
        for inputs, targets, weights in batches:
            if seen >= self._rows:
                return
            kept = weights[self._target].numpy() > 0
            seen += len(kept)
            truth = unshaped(targets[self._target].numpy())
            if kept.any():
                in_unit = head_of(self._spec).in_unit(self._statistics, truth[kept])
                yield np.asarray(self._answer(inputs))[kept], in_unit


def tell_round(record: EpochRecord, recipe: Recipe, metric: dict[str, float]) -> None:
    """Tells the flow how a round ended: losses and metric by the names that Keras gives them.

    Args:
        record: The round.
        recipe: Of the training that it is a part of.
        metric: What `WatchedMetric` gives, if anything.
    """
    losses = {"loss": record.loss}
    if record.validation_loss is not None:
        losses["val_loss"] = record.validation_loss
    report(
        record.steps,
        recipe.planned_steps(),
        unit="steps",
        milestone=True,
        epoch=record.epoch + 1,
        epochs=recipe.epochs,
        **losses,
        **metric,
    )
