"""Applying the frozen graph to a batch, and finding the rows that it cannot take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.manifest import NOT_ENCODABLE, UNUSABLE_SUFFIX, WEIGHT_SUFFIX
from transforms.kinds.pictures.bad_pictures import Columns, PictureJudge, failure
from transforms.kinds.pictures.refusals import is_refusal
from transforms.reading.batches import RawBatch, Reject

UNKNOWN_LABEL = "unknown_label"
_load_lock = threading.Lock()


@cache
def _load(graph: Path) -> Any:
    with reading(graph / "saved_model.pb", also=(tf.errors.OpError,)):
        return tf.saved_model.load(str(graph))


class GraphApplier:
    """Runs the transform graph of one pipeline.

    A picture that cannot be decoded fails its whole batch. The batch is halved until the rows are
    found, so that clean batches pay nothing.
    """

    def __init__(
        self, pipeline: PipelineSpec, transform: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        self._pipeline = pipeline
        self._transform = transform
        self._pictures = PictureJudge(pipeline, with_targets=True)

    @classmethod
    def shared(cls, pipeline: PipelineSpec, graph: Path) -> GraphApplier:
        """Returns an applier whose graph is loaded once for all workers of this process."""
        with _load_lock:
            return cls(pipeline, _load(graph).transform)

    def apply(self, batch: RawBatch) -> Columns:
        """Transforms a batch; rows that cannot be used leave it and join its rejects.

        Returns:
            What the graph gives for the rows that are left: int64, float32, uint8 pixels or bytes
            objects.
        """
        try:
            outputs = self._run(batch.columns)
        except Exception as error:
            if not is_refusal(error):
                raise
            self._remove_bad_pictures(batch)
            outputs = self._run(batch.columns)
        outputs = self._remove_unusable(batch, outputs)
        return self._remove_unknown_labels(batch, outputs)

    def _run(self, columns: Columns) -> Columns:
        tensors = {name: tf.constant(values) for name, values in columns.items()}
        # Not `Tensor.numpy`, which copies: pixels are most of a batch.
        return {name: np.asarray(value) for name, value in self._transform(tensors).items()}

    def _remove_bad_pictures(self, batch: RawBatch) -> None:
        keep = np.ones(len(batch.keys), bool)
        for row in self._failing(batch.columns, np.arange(len(batch.keys))):
            for bad in self._pictures.judge(self._run, batch.select(np.array([row]))):
                if not bad.costs_row:
                    batch.columns[bad.input][row] = b""
                    batch.replaced[bad.input, bad.reason] += 1
                    continue
                if keep[row]:
                    value, key = batch.cell(bad.input, row), batch.keys[row].decode()
                    batch.rejects.append(Reject(key, batch.file, bad.column, bad.reason, value))
                keep[row] = False
        batch.keep(keep)

    def _failing(self, columns: Columns, rows: np.ndarray) -> list[int]:
        """Returns the rows that fail, by halving those that fail together."""
        if failure(self._run, {name: values[rows] for name, values in columns.items()}) is None:
            return []
        if len(rows) == 1:
            return [int(rows[0])]
        half = len(rows) // 2
        return self._failing(columns, rows[:half]) + self._failing(columns, rows[half:])

    def _remove_unusable(self, batch: RawBatch, outputs: Columns) -> Columns:
        """Rejects rows with a value that a user's kind cannot encode, or counts them as missing."""
        keep = np.ones(len(batch.keys), bool)
        for name, spec in self._pipeline.column_features().items():
            if name + UNUSABLE_SUFFIX not in outputs:
                continue
            raw, rows = self._pipeline.raw_features()[name], outputs[name + UNUSABLE_SUFFIX] > 0
            if spec.invalid != "reject":
                if rows.any():
                    batch.replaced[raw.name, NOT_ENCODABLE] += int(rows.sum())
                continue
            for row in np.flatnonzero(rows & keep):
                value = batch.cell(raw.name, int(row))
                key = batch.keys[row].decode()
                batch.rejects.append(Reject(key, batch.file, raw.columns[0], NOT_ENCODABLE, value))
            keep &= ~rows
        return _kept(batch, outputs, keep)

    def _remove_unknown_labels(self, batch: RawBatch, outputs: Columns) -> Columns:
        """Rejects rows whose label the training rows do not have, unless it is masked."""
        keep = np.ones(len(batch.keys), bool)
        for name, raw in self._pipeline.raw_targets().items():
            if self._pipeline.targets[name].invalid != "reject":
                continue
            unknown = outputs[name + WEIGHT_SUFFIX] == 0
            values = batch.columns[raw.name]
            unknown &= _present(values)
            for row in np.flatnonzero(unknown & keep):
                value = batch.cell(raw.name, int(row))
                key = batch.keys[row].decode()
                batch.rejects.append(Reject(key, batch.file, raw.columns[0], UNKNOWN_LABEL, value))
            keep &= ~unknown
        return _kept(batch, outputs, keep)


def _present(values: np.ndarray) -> np.ndarray:
    """Returns the rows with a text or with bytes, bool [rows]; a number always has its label."""
    if values.dtype != object:
        return np.zeros(len(values), bool)
    present = np.asarray(values != b"")
    return present if values.ndim == 1 else np.asarray(present.any(axis=1))


def _kept(batch: RawBatch, outputs: Columns, keep: np.ndarray) -> Columns:
    if keep.all():
        return outputs
    batch.keep(keep)
    return {name: values[keep] for name, values in outputs.items()}
