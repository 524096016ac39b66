"""Applying the frozen graph to a batch, and finding the rows that it cannot take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from transforms.contract.documents import reading
from transforms.contract.features import Image
from transforms.contract.manifest import WEIGHT_SUFFIX
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.targets import ImageTarget
from transforms.pictures import TOO_LARGE
from transforms.reading import RawBatch, Reject

Columns = dict[str, np.ndarray]
UNDECODABLE = "undecodable_image"
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
        # Of every input with pictures, what its features and targets do with a bad one.
        self._images: dict[str, set[str]] = {}
        self._sources: dict[str, str] = {}  # and its column
        for name, raw in (pipeline.raw_features() | pipeline.raw_targets()).items():
            spec = pipeline.features.get(name) or pipeline.targets[name]
            if isinstance(spec, Image | ImageTarget):
                self._images.setdefault(raw.name, set()).add(spec.invalid)
                self._sources[raw.name] = raw.columns[0]

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
        except tf.errors.InvalidArgumentError:
            self._remove_bad_pictures(batch)
            outputs = self._run(batch.columns)
        return self._remove_unknown_labels(batch, outputs)

    def _run(self, columns: Columns) -> Columns:
        tensors = {name: tf.constant(values) for name, values in columns.items()}
        # Not `Tensor.numpy`, which copies: pixels are most of a batch.
        return {name: np.asarray(value) for name, value in self._transform(tensors).items()}

    def _failure(self, columns: Columns) -> str | None:
        """Returns why the graph cannot take these rows, or None."""
        try:
            self._run(columns)
        except tf.errors.InvalidArgumentError as error:
            return TOO_LARGE if TOO_LARGE in str(error) else UNDECODABLE
        return None

    def _remove_bad_pictures(self, batch: RawBatch) -> None:
        keep = np.ones(len(batch.keys), bool)
        for row in self._failing(batch.columns, np.arange(len(batch.keys))):
            for column, reason in self._bad_columns(batch, row):
                if "reject" in self._images[column]:
                    value = batch.columns[column][row]
                    key = batch.keys[row].decode()
                    if keep[row]:
                        source = self._sources[column]
                        batch.rejects.append(Reject(key, batch.file, source, reason, value))
                    keep[row] = False
                else:
                    batch.columns[column][row] = b""
                    batch.replaced[column, reason] += 1
        _keep(batch, keep)

    def _failing(self, columns: Columns, rows: np.ndarray) -> list[int]:
        """Returns the rows that fail, by halving those that fail together."""
        if self._failure({name: values[rows] for name, values in columns.items()}) is None:
            return []
        if len(rows) == 1:
            return [int(rows[0])]
        half = len(rows) // 2
        return self._failing(columns, rows[:half]) + self._failing(columns, rows[half:])

    def _bad_columns(self, batch: RawBatch, row: int) -> list[tuple[str, str]]:
        """Returns (column, reason) of every picture of a row that the graph cannot take."""
        found = []
        for column in self._images:
            alone = {
                name: np.array([b""], object) if name in self._images and name != column else v
                for name, v in batch.select(np.array([row])).items()
            }
            reason = self._failure(alone)
            if reason is not None:
                found.append((column, reason))
        return found

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
                value = values[row] if values.ndim == 1 else b", ".join(filter(None, values[row]))
                key = batch.keys[row].decode()
                batch.rejects.append(Reject(key, batch.file, raw.columns[0], UNKNOWN_LABEL, value))
            keep &= ~unknown
        if keep.all():
            return outputs
        _keep(batch, keep)
        return {name: values[keep] for name, values in outputs.items()}


def _present(values: np.ndarray) -> np.ndarray:
    """Returns the rows with a text or with bytes, bool [rows]; a number always has its label."""
    if values.dtype != object:
        return np.zeros(len(values), bool)
    present = np.asarray(values != b"")
    return present if values.ndim == 1 else np.asarray(present.any(axis=1))


def _keep(batch: RawBatch, keep: np.ndarray) -> None:
    batch.columns = batch.select(keep)
    batch.keys, batch.splits = batch.keys[keep], batch.splits[keep]
