"""What the report draws of every target: a confusion matrix, a ROC curve or a scatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.metrics import Arrays, in_unit
from transforms.contract.manifest import TransformManifest
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.targets import Binary, Multiclass, Target

_MOST_CLASSES = 20
_MOST_POINTS = 500
_ROC_POINTS = 50
_ROC_BINS = 10_000  # of the probability; the curve is as fine as a picture can show


class Figures:
    """Collects a figure's data per target, in memory that does not grow with the rows."""

    def __init__(self, pipeline: PipelineSpec, manifest: TransformManifest) -> None:
        self._manifest = manifest
        self._targets = dict(pipeline.targets)
        self._data: dict[str, np.ndarray] = {}
        for name, target in self._targets.items():
            if isinstance(target, Binary):
                self._data[name] = np.zeros((2, _ROC_BINS), np.int64)
            elif isinstance(target, Multiclass):
                classes = len(manifest.targets[name].labels)
                self._data[name] = np.zeros((classes, classes), np.int64)
            else:
                self._data[name] = np.zeros((0, 2))

    def update(self, predictions: Arrays, truths: Arrays, weights: Arrays) -> None:
        """Adds one batch; arguments as for `SplitScores.update`."""
        for name, target in self._targets.items():
            kept = weights[name] > 0
            prediction, truth = predictions[name][kept], truths[name][kept]
            data = self._data[name]
            if isinstance(target, Binary):
                bins = np.minimum((prediction * _ROC_BINS).astype(int), _ROC_BINS - 1)
                np.add.at(data, (truth.astype(int), bins), 1)
            elif isinstance(target, Multiclass):
                np.add.at(data, (truth.astype(int), prediction.argmax(axis=-1)), 1)
            elif len(data) < _MOST_POINTS:
                pair = np.stack([in_unit(self._manifest.targets[name], truth), prediction], 1)
                self._data[name] = np.concatenate([data, pair])[:_MOST_POINTS]

    def results(self) -> dict[str, Any]:
        """Returns per target a JSON object with `kind`, and nothing for a target without rows."""
        found = {name: self._figure(name, target) for name, target in self._targets.items()}
        return {name: figure for name, figure in found.items() if figure is not None}

    def _figure(self, name: str, target: Target) -> dict[str, Any] | None:
        data = self._data[name]
        if isinstance(target, Binary):
            return _roc(data)
        if isinstance(target, Multiclass):
            labels = self._manifest.targets[name].labels
            if len(labels) > _MOST_CLASSES or not data.sum():
                return None
            return {"kind": "confusion", "labels": list(labels), "rows": data.tolist()}
        if not len(data):
            return None
        return {"kind": "scatter", "true": data[:, 0].tolist(), "predicted": data[:, 1].tolist()}


def _roc(counts: np.ndarray) -> dict[str, Any] | None:
    """Returns the ROC curve from the counts of [class, bin of the probability]."""
    totals = counts.sum(axis=1)
    if not totals.all():
        return None
    # From the highest threshold down; the first point accepts nothing.
    rates = np.concatenate([[[0], [0]], counts[:, ::-1].cumsum(axis=1)], axis=1)
    rates = rates / totals[:, np.newaxis]
    # Evenly along the curve, which may climb within a few bins.
    along = rates.sum(axis=0)
    wanted = np.linspace(0, 2, _ROC_POINTS)
    points = np.unique(np.minimum(np.searchsorted(along, wanted), _ROC_BINS))
    return {
        "kind": "roc",
        "false_positive_rate": rates[0, points].tolist(),
        "true_positive_rate": rates[1, points].tolist(),
    }
