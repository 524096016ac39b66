"""The trained model against a simple one, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.metrics import row_losses
from trainer.network.scores import Arrays
from transforms.contract.declaration.judgement.metrics import is_better
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import TransformManifest

# Standard errors of the mean difference: chance alone goes as far once in 700 times.
_BEYOND_DOUBT = 3.0
_FEWEST_ROWS = 10  # fewer have no standard error to go by


@dataclass
class _Sums:
    rows: int = 0
    total: float = 0.0
    squares: float = 0.0


class PairedLosses:
    """By how much the model's loss on a row exceeds a simple model's, over all test rows.

    The same rows are hard for both, so that the difference has a smaller error than either loss:
    the paired t statistic.

    Args:
        pipeline: The declaration.
        manifest: The transform that wrote the truths.
        targets: Those that both answer.
    """

    def __init__(
        self, pipeline: PipelineSpec, manifest: TransformManifest, targets: frozenset[str]
    ) -> None:
        self._pipeline = pipeline
        self._manifest = manifest
        self._sums = {name: _Sums() for name in pipeline.targets if name in targets}

    def update(self, model: Arrays, simple: Arrays, truths: Arrays, weights: Arrays) -> None:
        """Adds one batch: the predictions of both, and what `SplitScores.update` takes."""
        for name, sums in self._sums.items():
            kept = weights[name] > 0
            losses = (
                row_losses(
                    self._pipeline.targets[name],
                    self._manifest.targets[name],
                    predictions[name][kept],
                    truths[name][kept],
                )
                for predictions in (model, simple)
            )
            excess = np.subtract(*losses)
            sums.rows += len(excess)
            sums.total += float(excess.sum())
            sums.squares += float(np.square(excess).sum())

    def warnings(
        self, name: str, metrics: Mapping[str, float], simple: Mapping[str, float]
    ) -> list[str]:
        """Returns a sentence for every target that the simple model is better at beyond doubt.

        That is if its loss is smaller by three standard errors, and the target's first metric is
        better too.

        Args:
            name: The simple model's.
            metrics: The model's, by name.
            simple: The simple model's.
        """
        sentences = []
        for target, sums in self._sums.items():
            metric = f"test_{target}_{self._pipeline.targets[target].metrics[0]}"
            if metric not in metrics or metric not in simple:
                continue
            if is_better(metric, simple[metric], metrics[metric]) and _is_beyond_doubt(sums):
                sentences.append(
                    f"{metric} {metrics[metric]:.4g} is worse than the {name} model's "
                    f"{simple[metric]:.4g}, beyond what chance explains."
                )
        return sentences


def _is_beyond_doubt(sums: _Sums) -> bool:
    if sums.rows < _FEWEST_ROWS:
        return False
    mean = sums.total / sums.rows
    variance = max(0.0, sums.squares / sums.rows - mean * mean)
    return mean > 0 and mean > _BEYOND_DOUBT * float(np.sqrt(variance / sums.rows))
