"""The report's figures of every target: a confusion matrix, a ROC curve, a scatter, pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from trainer.network.heads import head_of
from trainer.network.scores import Arrays
from transforms.contract.columns.features import Categorical, Image
from transforms.contract.columns.targets import (
    Binary,
    BinaryMask,
    ClassMask,
    ContinuousImage,
    ImageTarget,
    Multiclass,
    Multilabel,
    NumericTarget,
    SequenceTarget,
    TargetSpec,
)
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.evaluation import (
    CalibrationBin,
    ConfusionFigure,
    Figure,
    PicturesFigure,
    RocFigure,
    ScatterFigure,
)
from transforms.contract.workspace.manifest import TargetStatistics, TransformManifest

_MOST_CLASSES = 20
_MOST_POINTS = 500
_MOST_PICTURES = 4  # rows
_MOST_CONDITIONS, _MADE = 10, 7  # rows, and pictures made in each
_PICTURE_SIDE = 96  # pixels at most
_MOST_SERIES = 3
_CALIBRATION_BINS = 10
_ROC_POINTS = 50
_ROC_BINS = 10_000  # of the probability; the curve is as fine as a picture can show


class Collector(Protocol):
    """Collects one target's data, in memory that does not grow with the rows."""

    def update(self, prediction: np.ndarray, truth: np.ndarray, pictures: Arrays) -> None:
        """Adds rows with a label; prediction and truth as metrics take them.

        What is shown beside them is the pictures that go in, or the values of a condition.
        """
        ...

    def result(self) -> Figure | None:
        """Returns what is to be drawn, or None if there is nothing."""
        ...


class Figures:
    """Collects a figure per target."""

    def __init__(self, pipeline: PipelineSpec, manifest: TransformManifest) -> None:
        self._manifest = manifest
        self._targets = dict(pipeline.targets)
        is_dense = any(isinstance(target, ImageTarget) for target in self._targets.values())
        shown = {n: f for n, f in pipeline.features.items() if isinstance(f, Image)}
        images = [name for name, feature in shown.items() if not feature.sensitive]
        condition = _condition(pipeline, manifest) if is_dense else None
        self._beside = [condition] if condition else images if is_dense else []
        self._figures = {
            name: FIGURES[type(target)](manifest.targets[name])
            for name, target in self._targets.items()
            if type(target) in FIGURES and not _shows_values(target)
        }
        if condition:
            dense = {n: t for n, t in self._targets.items() if isinstance(t, ImageTarget)}
            made = (name for name, target in dense.items() if not target.sensitive)
            self._figures |= {name: Made() for name in made}

    def update(self, predictions: Arrays, truths: Arrays, weights: Arrays, inputs: Arrays) -> None:
        """Adds one batch: what `SplitScores.update` takes, and the rows' inputs."""
        beside = {name: np.asarray(inputs[name]) for name in self._beside}
        for name, figure in self._figures.items():
            kept = weights[name] > 0
            head = head_of(self._targets[name])
            truth = head.in_unit(self._manifest.targets[name], truths[name][kept])
            own = {feature: values[kept] for feature, values in beside.items()}
            figure.update(predictions[name][kept], truth, own)

    def results(self) -> dict[str, Figure]:
        """Returns what is to be drawn per target, and nothing for a target without rows."""
        figures = {name: figure.result() for name, figure in self._figures.items()}
        return {name: data for name, data in figures.items() if data is not None}


class Roc:
    """The ROC curve, from counts of [class, bin of the probability]."""

    def __init__(self, statistics: TargetStatistics) -> None:
        del statistics
        self._counts = np.zeros((2, _ROC_BINS), np.int64)

    def update(self, prediction: np.ndarray, truth: np.ndarray, pictures: Arrays) -> None:
        """Adds rows."""
        del pictures
        bins = np.minimum((prediction * _ROC_BINS).astype(int), _ROC_BINS - 1)
        np.add.at(self._counts, (truth.astype(int), bins), 1)

    def result(self) -> Figure | None:
        """Returns the curve; None with rows of one class only."""
        totals = self._counts.sum(axis=1)
        if not totals.all():
            return None
        # From the highest threshold down; the first point accepts nothing.
        accepted = np.concatenate([[[0], [0]], self._counts[:, ::-1].cumsum(axis=1)], axis=1)
        rates = accepted / totals[:, np.newaxis]
        # Evenly along the curve, which may climb within a few bins.
        along = rates.sum(axis=0)
        wanted = np.linspace(0, 2, _ROC_POINTS)
        points = np.unique(np.minimum(np.searchsorted(along, wanted), _ROC_BINS))
        # Without a row that is accepted there is no precision.
        some = points[accepted[:, points].sum(axis=0) > 0]
        return RocFigure(
            false_positive_rate=tuple(rates[0, points].tolist()),
            true_positive_rate=tuple(rates[1, points].tolist()),
            precision=tuple((accepted[1, some] / accepted[:, some].sum(axis=0)).tolist()),
            recall=tuple(rates[1, some].tolist()),
            calibration=_calibration(self._counts),
        )


class Confusion:
    """The confusion matrix."""

    def __init__(self, statistics: TargetStatistics) -> None:
        self._labels = statistics.labels
        self._counts = np.zeros((len(self._labels), len(self._labels)), np.int64)
        self._came_true = np.zeros((2, _ROC_BINS), np.int64)

    def update(self, prediction: np.ndarray, truth: np.ndarray, pictures: Arrays) -> None:
        """Adds rows."""
        del pictures
        likeliest = prediction.argmax(axis=-1)
        np.add.at(self._counts, (truth.astype(int), likeliest), 1)
        bins = np.minimum((prediction.max(axis=-1) * _ROC_BINS).astype(int), _ROC_BINS - 1)
        np.add.at(self._came_true, ((likeliest == truth).astype(int), bins), 1)

    def result(self) -> Figure | None:
        """Returns the matrix; None without rows or with more classes than can be read."""
        if len(self._labels) > _MOST_CLASSES or not self._counts.sum():
            return None
        rows = tuple(map(tuple, self._counts.tolist()))
        calibration = _calibration(self._came_true)
        return ConfusionFigure(labels=self._labels, rows=rows, calibration=calibration)


class Scatter:
    """Predictions against truths, of the first rows, and the error of every step of a series."""

    def __init__(self, statistics: TargetStatistics) -> None:
        del statistics
        self._points = np.zeros((0, 2))
        self._errors, self._rows = np.zeros(0), 0
        self._series: list[tuple[tuple[float, ...], tuple[float, ...]]] = []

    def update(self, prediction: np.ndarray, truth: np.ndarray, pictures: Arrays) -> None:
        """Adds rows."""
        del pictures
        if len(self._points) < _MOST_POINTS:
            pairs = np.stack([truth.ravel(), prediction.ravel()], 1)
            self._points = np.concatenate([self._points, pairs])[:_MOST_POINTS]
        if truth.ndim == 1 or not len(truth):
            return
        errors = np.abs(prediction.astype(np.float64) - truth)
        by_step = errors.reshape(*errors.shape[:2], -1).mean(axis=2).sum(axis=0)
        self._errors = by_step + (self._errors if self._rows else 0)
        self._rows += len(truth)
        for row in range(min(_MOST_SERIES - len(self._series), len(truth))):
            pair = (values[row].reshape(truth.shape[1], -1)[:, 0] for values in (truth, prediction))
            true, predicted = (tuple(map(float, values)) for values in pair)
            self._series.append((true, predicted))

    def result(self) -> Figure | None:
        """Returns the points; None without any."""
        if not len(self._points):
            return None
        true, predicted = map(tuple, self._points.T.tolist())
        horizon = tuple((self._errors / max(self._rows, 1)).tolist())
        series = tuple(self._series)
        return ScatterFigure(true=true, predicted=predicted, horizon=horizon, series=series)


class Pictures:
    """The pictures of the first rows: those that go in, the truth and the prediction."""

    def __init__(self, statistics: TargetStatistics) -> None:
        del statistics
        self._columns: list[str] = []
        self._rows: list[list[str]] = []

    def update(self, prediction: np.ndarray, truth: np.ndarray, pictures: Arrays) -> None:
        """Adds rows."""
        self._columns = [*pictures, "truth", "prediction"]
        truth, prediction = as_pixels(truth, prediction)
        for row in range(min(_MOST_PICTURES - len(self._rows), len(truth))):
            shown = [*(pixels[row] / 255 for pixels in pictures.values()), truth[row]]
            self._rows.append([png(pixels) for pixels in (*shown, prediction[row])])

    def result(self) -> Figure | None:
        """Returns rows of PNG files in base64; None without any."""
        if not self._rows:
            return None
        rows = tuple(map(tuple, self._rows))
        return PicturesFigure(columns=tuple(self._columns), rows=rows)


class Made:
    """The pictures that a model with noise makes of each value of a condition, after a real one."""

    def __init__(self) -> None:
        self._rows: dict[int, list[str]] = {}

    def update(self, prediction: np.ndarray, truth: np.ndarray, pictures: Arrays) -> None:
        """Adds rows."""
        (values,) = pictures.values()
        for value, made, real in zip(values.tolist(), prediction, truth, strict=True):
            if value not in self._rows and len(self._rows) < _MOST_CONDITIONS:
                self._rows[value] = [png(real)]
            row = self._rows.get(value)
            if row is not None and len(row) <= _MADE:
                row.append(png(made))

    def result(self) -> Figure | None:
        """Returns rows of PNG files in base64; None without any."""
        if not self._rows:
            return None
        rows = tuple(tuple(row) for _, row in sorted(self._rows.items()))
        return PicturesFigure(columns=("real", *["made"] * _MADE), rows=rows)


def _shows_values(target: TargetSpec) -> bool:
    """Returns whether a target's figure would show values that nobody is to read."""
    return target.sensitive and FIGURES[type(target)] is not Roc


def _calibration(counts: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Returns how often probabilities came true.

    Args:
        counts: Rows by [it did not come true, it did] and by bin of the probability.
    """
    middles = (np.arange(_ROC_BINS) + 0.5) / _ROC_BINS
    parts = zip(
        np.array_split(counts, _CALIBRATION_BINS, axis=1),
        np.array_split(middles, _CALIBRATION_BINS),
        strict=True,
    )
    return tuple(
        CalibrationBin(
            promised=float((part.sum(axis=0) * own).sum() / part.sum()),
            kept=float(part[1].sum() / part.sum()),
            rows=int(part.sum()),
        )
        for part, own in parts
        if part.any()
    )


def _condition(pipeline: PipelineSpec, manifest: TransformManifest) -> str | None:
    """Returns the category by which to show what is made with noise.

    None without noise, and where pictures go in or classes of pixels come out: these are shown row
    by row.
    """
    by_row = any(isinstance(feature, Image) for feature in pipeline.features.values())
    by_row |= any(isinstance(target, ClassMask) for target in pipeline.targets.values())
    if by_row or not manifest.noise():
        return None
    inputs = {stored.name: stored for stored in manifest.inputs()}
    categories = (
        name
        for name, feature in pipeline.features.items()
        if isinstance(feature, Categorical) and not feature.sensitive
    )
    return next((name for name in categories if inputs[name].shape == ()), None)


def as_pixels(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns truth and prediction as pixels from 0 to 1, [..., H, W, C] each.

    A mask of classes, whose prediction is a probability for each class, becomes shades of gray.
    """
    if prediction.shape[-1] == truth.shape[-1]:
        return truth, prediction
    darkest = prediction.shape[-1] - 1
    return truth / darkest, prediction.argmax(axis=-1)[..., np.newaxis] / darkest


def png(pixels: np.ndarray) -> str:
    """Returns a small PNG of pixels from 0 to 1, [H, W, C], in base64."""
    step = -(-max(pixels.shape[:2]) // _PICTURE_SIDE)
    small = np.clip(np.round(pixels[::step, ::step] * 255), 0, 255).astype(np.uint8)
    encoded: bytes = tf.io.encode_png(small).numpy()
    return base64.b64encode(encoded).decode()


FIGURES: dict[type[TargetSpec], Callable[[TargetStatistics], Collector]] = {
    Binary: Roc,
    Multiclass: Confusion,
    NumericTarget: Scatter,
    Multilabel: Roc,
    SequenceTarget: Scatter,
    BinaryMask: Pictures,
    ClassMask: Pictures,
    ContinuousImage: Pictures,
}
