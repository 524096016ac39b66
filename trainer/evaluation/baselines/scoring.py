"""Baselines scored beside the model, on the batches that it is scored on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from trainer.evaluation.baselines.comparison import PairedLosses
from trainer.evaluation.baselines.fitting import Baseline
from trainer.evaluation.metrics import SplitScores
from trainer.network.scores import Arrays
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import SPLITS
from transforms.contract.steps.baselines import Baselines
from transforms.contract.workspace.manifest import TransformManifest


class BaselineScores:
    """Adds up every baseline's metrics of the validation and the test rows.

    Args:
        pipeline: The declaration, with the metrics of every target.
        manifest: The transform that wrote the truths.
        baselines: What to score.
    """

    def __init__(
        self, pipeline: PipelineSpec, manifest: TransformManifest, baselines: Sequence[Baseline]
    ) -> None:
        self._baselines = baselines
        self._scores: dict[tuple[str, str], SplitScores] = {
            (baseline.name, split): SplitScores(pipeline, manifest, baseline.targets)
            for baseline in baselines
            for split in SPLITS[1:]
        }
        self._paired = {
            baseline.name: PairedLosses(pipeline, manifest, baseline.targets)
            for baseline in baselines
            if baseline.name != "constant"
        }

    def update(
        self, split: str, inputs: Arrays, model: Arrays, truths: Arrays, weights: Arrays
    ) -> None:
        """Adds one batch.

        Args:
            split: Whose rows these are.
            inputs: As the stream gives them.
            model: The trained model's predictions.
            truths: What `SplitScores.update` takes.
            weights: Likewise.
        """
        for baseline in self._baselines:
            predictions = baseline.predict(inputs, len(next(iter(truths.values()))))
            self._scores[baseline.name, split].update(predictions, truths, weights)
            if split == "test" and baseline.name in self._paired:
                self._paired[baseline.name].update(model, predictions, truths, weights)

    def results(self) -> Baselines:
        """Returns the metrics of all."""
        metrics: dict[str, dict[str, float]] = {}
        for (name, split), scores in self._scores.items():
            values = {m: v for m, v in scores.results(split).items() if math.isfinite(v)}
            metrics.setdefault(name, {}).update(values)
        return Baselines(**metrics)

    def warnings(self, metrics: Mapping[str, float]) -> list[str]:
        """Returns a sentence for every target at which a simple model beats the trained one.

        Args:
            metrics: The trained model's.
        """
        scored = self.results().scored()
        return [
            sentence
            for name, paired in self._paired.items()
            for sentence in paired.warnings(name, metrics, scored.get(name, {}))
        ]
