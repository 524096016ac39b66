"""The metrics of one split, whoever made the predictions: the new model or the champion.

Predictions come as `Head.predictions` gives them: a probability [B], class probabilities [B, C] or
numbers in the column's own unit [B, ...]. Truths are as the shards have them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trainer.evaluation.row_terms import RowTerms
from trainer.network.heads import head_of
from trainer.network.scores import OF_DECISIONS, Arrays, Mean, Score
from transforms.contract.columns.targets import NumericTarget, Target
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import (
    DECISION_SUFFIX,
    SPREAD_SUFFIX,
    TargetStatistics,
    TransformManifest,
)


@dataclass
class TargetScores:
    """The metrics and losses that one target's predictions have added up to.

    Attributes:
        metrics: The metrics by their declared names.
        loss: The sum of the losses of the rows with a label.
        within_spread: The share of numbers that lie no farther from the answer than its spread.
    """

    metrics: dict[str, Score]
    loss: float = 0.0
    within_spread: Mean = field(default_factory=lambda: Mean(np.less_equal))


class SplitScores:
    """Adds up the metrics of one split.

    Args:
        pipeline: The declaration, with the metrics of every target.
        manifest: The transform that wrote the truths.
        targets: The targets that there are predictions for.
        terms: Collects what the metrics need of every row, if that is wanted.
    """

    def __init__(
        self,
        pipeline: PipelineSpec,
        manifest: TransformManifest,
        targets: frozenset[str],
        terms: RowTerms | None = None,
    ) -> None:
        self._terms = terms
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
            predictions: Per target; the spread and the decision of some by their name with
                `SPREAD_SUFFIX` and `DECISION_SUFFIX`.
            truths: Per target, as stored, [B, ...].
            weights: Per target, 0 for a masked row, [B].
        """
        self._rows += len(next(iter(truths.values())))
        if self._terms is not None:
            self._terms.begin(len(next(iter(truths.values()))))
        for name, scores in self._scores.items():
            target = self._pipeline.targets[name]
            statistics = self._manifest.targets[name]
            kept = weights[name] > 0
            prediction, truth = predictions[name][kept], truths[name][kept]
            if not len(truth):
                continue
            losses = row_losses(target, statistics, prediction, truth)
            scores.loss += float(losses.sum())
            truth = head_of(target).in_unit(statistics, truth)
            answers = dict.fromkeys(scores.metrics, prediction)
            if name + DECISION_SUFFIX in predictions:
                decided = predictions[name + DECISION_SUFFIX][kept].astype(np.float32)
                answers |= {metric: decided for metric in answers if metric in OF_DECISIONS}
            for metric, score in scores.metrics.items():
                score.update(truth, answers[metric])
            if self._terms is not None:
                self._terms.add(name, kept, losses, scores.metrics, truth, answers)
            if isinstance(target, NumericTarget) and name + SPREAD_SUFFIX in predictions:
                spread = predictions[name + SPREAD_SUFFIX][kept]
                scores.within_spread.update(np.abs(truth - prediction), spread)

    def results(self, split: str) -> dict[str, float]:
        """Returns the metrics by "<split>_<target>_<metric>", and "<split>_loss".

        One that is not defined on these rows is left out, such as the AUC of a single class, and
        all of a target without a label. "<split>_<target>_within_spread" is there for numbers whose
        spread was given. The loss is given if every declared target was predicted.
        """
        metrics: dict[str, float] = {}
        if self._rows and len(self._scores) == len(self._pipeline.targets):
            targets = self._pipeline.targets
            total = sum(targets[n].loss_weight * s.loss for n, s in self._scores.items())
            metrics[f"{split}_loss"] = total / self._rows
        for name, scores in self._scores.items():
            results = {metric: score.result() for metric, score in scores.metrics.items()}
            results["within_spread"] = scores.within_spread.result()
            metrics |= {f"{split}_{name}_{m}": v for m, v in results.items() if v is not None}
        return metrics


def row_losses(
    target: Target, statistics: TargetStatistics, prediction: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    """Returns every row's loss, that of numbers on the scale that is learnt, float64 [B]."""
    if not len(truth):
        return np.zeros(0)  # Keras and NumPy do not know the shape of none
    head = head_of(target)
    prediction = head.standardized(statistics, prediction)
    pair = [_columns(truth), _columns(prediction).astype(np.float32)]
    losses = np.asarray(head.loss(target).call(*pair), np.float64)
    return np.asarray(losses.reshape(len(truth), -1).mean(axis=1))


def _columns(values: np.ndarray) -> np.ndarray:
    """Returns one value a row as [B, 1]: Keras averages over the last axis."""
    return values[:, np.newaxis] if values.ndim == 1 else values
