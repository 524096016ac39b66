"""The test rows with the highest loss, with what the model saw of them and what it said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trainer.data.shards import ShardFile
from trainer.data.stream import BatchLayout, evaluation_batches, raw_batches, unshaped
from trainer.evaluation.figures import as_pixels, png
from trainer.export.export import parse_examples
from trainer.export.trained import Predict
from trainer.network.heads import head_of
from trainer.network.scores import LIKELY
from transforms.contract.columns.features import RawColumn
from transforms.contract.columns.targets import (
    Binary,
    Multiclass,
    Multilabel,
    NumericTarget,
    SequenceTarget,
    TargetSpec,
)
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.evaluation import RowShown
from transforms.contract.workspace.manifest import (
    DECISION_SUFFIX,
    TargetStatistics,
    TransformManifest,
)

_MOST_ROWS = 10
_LONGEST_TEXT = 400  # characters
_MOST_NUMBERS = 8  # of a list; a longer one is drawn
_MOST_POINTS = 100
_PIXELS = "uint8"

Tensors = Mapping[str, Any]
Files = tuple[Sequence[ShardFile], Sequence[ShardFile]]


def worst_rows(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    predict: Predict,
    losses: np.ndarray,
    files: Files,
    batch_size: int,
) -> tuple[RowShown, ...]:
    """Returns the rows, the worst first. What is sensitive is not shown of them.

    Args:
        pipeline: The declaration.
        manifest: What the shards hold.
        predict: The trained model.
        losses: Those of all test rows, float64 [N].
        files: Stored and raw test shards, with the same rows in the same order.
        batch_size: Rows to read at a time.
    """
    chosen = np.argsort(-losses, kind="stable")[:_MOST_ROWS]
    shown = _Shown(pipeline, manifest)
    layout = BatchLayout.for_evaluation(pipeline, manifest)
    pairs = zip(
        evaluation_batches(files[0], layout, batch_size),
        raw_batches(files[1], batch_size),
        strict=True,
    )
    by_row: dict[int, RowShown] = {}
    for number, ((inputs, targets, weights), records) in enumerate(pairs if len(chosen) else ()):
        first = number * batch_size
        own = [int(row) for row in chosen if first <= row < first + batch_size]
        if own:
            batch = shown.batch(predict, inputs, targets, weights, records)
            by_row |= {row: batch(row - first, float(losses[row])) for row in own}
    return tuple(by_row[int(row)] for row in chosen)


class _Shown:
    """The part of a pipeline's rows that may be shown."""

    def __init__(self, pipeline: PipelineSpec, manifest: TransformManifest) -> None:
        hidden = pipeline.sensitive_columns()
        self._pipeline = pipeline
        self._manifest = manifest
        self._raws = [
            raw
            for raw in manifest.raw_inputs()
            if raw.dtype != "bytes" and not hidden.intersection(raw.columns)
        ]
        self._pictures = [
            stored.name
            for stored in manifest.inputs()
            if stored.dtype == _PIXELS
            and not hidden.intersection(manifest.raw_features[stored.name].columns)
        ]
        self._targets = {n: t for n, t in pipeline.targets.items() if not t.sensitive}

    def batch(
        self, predict: Predict, inputs: Tensors, targets: Tensors, weights: Tensors, records: object
    ) -> Callable[[int, float], RowShown]:
        """Returns what shows a row of a batch, given its number there and its loss."""
        answers = predict(inputs)
        values = parse_examples(records, self._raws) if self._raws else {}
        pictures = {name: inputs[name].numpy() for name in self._pictures}
        truths = {name: unshaped(targets[name].numpy()) for name in self._targets}

        def row(number: int, loss: float) -> RowShown:
            images = {name: png(pixels[number] / 255) for name, pixels in pictures.items()}
            said: dict[str, tuple[str, str]] = {}
            for name, target in self._targets.items():
                truth, answer = truths[name][number : number + 1], answers[name][number]
                truth = head_of(target).in_unit(self._manifest.targets[name], truth)[0]
                is_labelled = bool(weights[name][number] > 0)
                if type(target) in IN_WORDS:
                    words = IN_WORDS[type(target)](self._manifest.targets[name], truth, answer)
                    if name + DECISION_SUFFIX in answers:
                        words = words[0], _decided(answers[name + DECISION_SUFFIX][number], answer)
                    said[name] = words if is_labelled else ("none", words[1])
                else:
                    images |= pictures_of(name, truth, answer, is_labelled=is_labelled)
            cells = {raw: values[raw.name][number].numpy() for raw in self._raws}
            drawn = {raw.name: series_of(own) for raw, own in cells.items() if _is_long(raw)}
            texts = {raw.name: _text(raw, own) for raw, own in cells.items() if not _is_long(raw)}
            return RowShown(loss=loss, values=texts, series=drawn, pictures=images, answers=said)

        return row


def _is_long(raw: RawColumn) -> bool:
    return raw.dtype == "float32" and bool(raw.shape) and raw.shape[0] > _MOST_NUMBERS


def series_of(values: np.ndarray) -> tuple[float, ...]:
    """Returns the first channel of a series, or evenly some of its numbers."""
    channel = values.reshape(len(values), -1)[:, 0]
    channel = channel[np.isfinite(channel)]
    chosen = np.linspace(0, len(channel) - 1, min(len(channel), _MOST_POINTS)).astype(int)
    return tuple(channel[chosen].astype(float).tolist())


def _text(raw: RawColumn, value: np.ndarray | bytes | np.generic) -> str:
    """Returns a raw value as a person reads it."""
    if raw.dtype == "string":
        texts = [value] if isinstance(value, bytes) else [each for each in np.ravel(value) if each]
        text = ", ".join(each.decode(errors="replace") for each in texts)
        return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
    return _numbers(np.asarray(value))


def _numbers(values: np.ndarray) -> str:
    flat = [f"{number:,.6g}" for number in values.ravel() if np.isfinite(number)]
    beyond = f", … ({len(flat)} numbers)" if len(flat) > _MOST_NUMBERS else ""
    return ", ".join(flat[:_MOST_NUMBERS]) + beyond


Words = tuple[str, str]


def _yes_or_no(_: TargetStatistics, truth: np.ndarray, answer: np.ndarray) -> Words:
    return "yes" if truth > 0 else "no", _decided(answer >= LIKELY, answer)


def _decided(is_yes: Any, probability: np.ndarray) -> str:
    return f"{'yes' if is_yes else 'no'} ({probability:.3f})"


def _label(statistics: TargetStatistics, truth: np.ndarray, answer: np.ndarray) -> Words:
    likeliest = int(answer.argmax())
    said = f"{statistics.labels[likeliest]} ({answer[likeliest]:.3f})"
    return f"{statistics.labels[int(truth)]} ({answer[int(truth)]:.3f})", said


def _labels(statistics: TargetStatistics, truth: np.ndarray, answer: np.ndarray) -> Words:
    return tuple(  # type: ignore[return-value]
        ", ".join(statistics.labels[index] for index in np.flatnonzero(chosen)) or "none of them"
        for chosen in (truth > 0, answer >= LIKELY)
    )


def _number(_: TargetStatistics, truth: np.ndarray, answer: np.ndarray) -> Words:
    return _numbers(np.asarray(truth)), _numbers(np.asarray(answer))


IN_WORDS: dict[type[TargetSpec], Callable[[TargetStatistics, np.ndarray, np.ndarray], Words]] = {
    Binary: _yes_or_no,
    Multiclass: _label,
    Multilabel: _labels,
    NumericTarget: _number,
    SequenceTarget: _number,
}


def pictures_of(
    name: str, truth: np.ndarray, answer: np.ndarray, *, is_labelled: bool
) -> dict[str, str]:
    """Returns the truth, if there is one, and the prediction of a picture."""
    truth, answer = as_pixels(truth, answer)
    pictures = {f"{name}, truth": png(truth)} if is_labelled else {}
    return {**pictures, f"{name}, prediction": png(answer)}
