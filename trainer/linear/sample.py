"""A bounded sample of a split's rows, as arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import BatchLayout, model_batch, readable_errors, sampled_records
from trainer.linear.design import compact, compact_width
from transforms.contract.workspace.manifest import TransformManifest

MOST_ROWS = 20_000
_MOST_BYTES = 512 * 1024 * 1024  # of stored values that are read
_MOST_VALUES = 1 << 25  # of features that are kept: 128 MiB

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Rows of one split.

    Attributes:
        features: Every input as `compact` gives it, [B, width]; noise is not among them.
        targets: Every target that is no picture as the stream gives it, [B, ...].
        weights: Of every target, 0 for a row without a label, [B].
        mean_pictures: Of every target that is a picture its mean over the rows with a label: [H, W,
            C] from 0 to 1, or each class's share for a mask of classes.
    """

    features: Arrays
    targets: Arrays
    weights: Arrays
    mean_pictures: Arrays


def sample_rows(
    files: Sequence[ShardFile], manifest: TransformManifest, batch_size: int
) -> Sample | None:
    """Returns up to `MOST_ROWS` rows of a split: an equal part of every file, from its start.

    So every partition has its part. Fewer rows are taken of wide ones: 512 MiB of stored values
    are read at most, and 128 MiB are kept.

    Args:
        files: The split's shards.
        manifest: The transform that wrote them.
        batch_size: Rows to parse at a time.

    Returns:
        The rows; None if there are none.

    Raises:
        BraidError: A record is damaged.
    """
    if count_rows(files) == 0:
        return None
    layout = BatchLayout(manifest.in_records(), {})
    inputs = [s for s in manifest.inputs() if s.storage != "drawn"]
    read = sum(stored.row_bytes() for stored in layout.stored)
    kept = sum(compact_width(stored) for stored in inputs)
    most = max(1, min(MOST_ROWS, _MOST_BYTES // read, _MOST_VALUES // max(kept, 1)))
    pictures = {s.name: s for s in layout.stored if s.role == "target" and s.dtype == "uint8"}
    means = {name: _RunningMean(stored.cardinality) for name, stored in pictures.items()}
    parts: list[tuple[Arrays, Arrays, Arrays]] = []
    with readable_errors(files):
        batches = sampled_records(files, most).batch(batch_size)
        parsed = batches.map(lambda records: model_batch(records, layout), tf.data.AUTOTUNE)
        for given, targets, weights in parsed.prefetch(1):
            features = {s.name: compact(s, given[s.name]).numpy() for s in inputs}
            masks = {name: weight.numpy() for name, weight in weights.items()}
            for name, mean in means.items():
                mean.add(targets[name].numpy()[masks[name] > 0])
            truths = {n: t.numpy() for n, t in targets.items() if n not in pictures}
            parts.append((features, truths, masks))
    features, truths, masks = (_joined(group) for group in zip(*parts, strict=True))
    mean_pictures = {
        name: value for name, mean in means.items() if (value := mean.value()) is not None
    }
    return Sample(features, truths, masks, mean_pictures)


class _RunningMean:
    """The mean of pictures, or of each class's share where pixels are class ids."""

    def __init__(self, classes: int | None) -> None:
        self._classes = classes
        self._rows = 0
        self._total: Any = 0.0

    def add(self, pictures_BHWC: np.ndarray) -> None:
        """Adds rows."""
        if self._classes is not None:
            pictures_BHWC = pictures_BHWC == np.arange(self._classes)
        self._total = self._total + pictures_BHWC.sum(axis=0, dtype=np.float64)
        self._rows += len(pictures_BHWC)

    def value(self) -> np.ndarray | None:
        """Returns the mean, float32 [H, W, C]; None without rows."""
        return (self._total / self._rows).astype(np.float32) if self._rows else None


def _joined(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
