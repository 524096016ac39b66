"""The metrics of one split, whoever made the predictions: the new model or the champion.

Predictions come as `Head.predictions` gives them: a probability [B], class probabilities [B, C] or
numbers in the column's own unit [B, ...]. Truths are as the shards have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from trainer.heads import head_of
from transforms.contract.manifest import TargetStatistics, TransformManifest
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.targets import Binary, Multiclass, Multilabel, Target

Arrays = Mapping[str, np.ndarray]


@dataclass
class TargetScores:
    """What one target's predictions have added up to.

    Attributes:
        metrics: The Keras metrics by their declared names.
        weight: Rows with a label.
        loss: The sum of their losses.
        classes: The ids of the labels seen, for metrics that want more than one.
    """

    metrics: dict[str, keras.metrics.Metric]
    weight: float = 0.0
    loss: float = 0.0
    classes: set[int] = field(default_factory=set)


class SplitScores:
    """Adds up the metrics of one split.

    Args:
        pipeline: The declaration, with the metrics of every target.
        manifest: The transform that wrote the truths.
        targets: The targets that there are predictions for.
    """

    def __init__(
        self, pipeline: PipelineSpec, manifest: TransformManifest, targets: frozenset[str]
    ) -> None:
        self._pipeline = pipeline
        self._manifest = manifest
        self._rows = 0
        self._scores = {
            name: TargetScores({m: head_of(spec).metrics[m](spec) for m in spec.metrics})
            for name, spec in pipeline.targets.items()
            if name in targets
        }

    def update(self, predictions: Arrays, truths: Arrays, weights: Arrays) -> None:
        """Adds one batch.

        Args:
            predictions: Per target.
            truths: Per target, as stored, [B, ...].
            weights: Per target, 0 for a masked row, [B].
        """
        self._rows += len(next(iter(truths.values())))
        for name, scores in self._scores.items():
            target = self._pipeline.targets[name]
            statistics = self._manifest.targets[name]
            kept = weights[name] > 0
            prediction, truth = predictions[name][kept], truths[name][kept]
            if not len(truth):
                continue
            scores.weight += float(weights[name][kept].sum())
            scores.loss += row_loss_sum(target, statistics, prediction, truth)
            if isinstance(target, Binary | Multiclass | Multilabel):
                scores.classes |= set(np.unique(truth).astype(int).tolist())
            truth = head_of(target).in_unit(statistics, truth)
            for metric in scores.metrics.values():
                metric.update_state(_columns(truth), _columns(prediction))

    def results(self, split: str) -> dict[str, float]:
        """Returns the metrics by "<split>_<target>_<metric>", and "<split>_loss".

        A target without a label gives none, nor does the AUC of a single class. The loss is given
        if every declared target was predicted.
        """
        found: dict[str, float] = {}
        if self._rows and len(self._scores) == len(self._pipeline.targets):
            targets = self._pipeline.targets
            total = sum(targets[n].loss_weight * s.loss for n, s in self._scores.items())
            found[f"{split}_loss"] = total / self._rows
        for name, scores in self._scores.items():
            for metric, value in scores.metrics.items():
                undefined = metric == "auc" and len(scores.classes) < 2
                if scores.weight and not undefined:
                    found[f"{split}_{name}_{metric}"] = float(value.result())
        return found


def row_loss_sum(
    target: Target, statistics: TargetStatistics, prediction: np.ndarray, truth: np.ndarray
) -> float:
    """Returns the sum of the rows' losses, that of numbers on the standardized scale."""
    head = head_of(target)
    mean = head.loss(target)(_columns(truth), _columns(head.standardized(statistics, prediction)))
    return float(mean) * len(truth)


def _columns(values: np.ndarray) -> np.ndarray:
    """Returns one value a row as [B, 1]: Keras averages over the last axis."""
    return values[:, np.newaxis] if values.ndim == 1 else values
