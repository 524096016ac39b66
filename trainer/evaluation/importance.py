"""Permutation importance: how much worse the answers get without what a column says.

Fisher, Rudin and Dominici, "All Models are Wrong, but Many are Useful: Learning a Variable's
Importance by Studying an Entire Class of Prediction Models Simultaneously", 2019, after Breiman,
"Random Forests", 2001. A column's values are dealt out to other test rows, pictures and texts as
whole values like all others, and all features that it feeds change together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import tensorflow as tf

from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import BatchLayout, evaluation_batches, unshaped
from trainer.evaluation.metrics import row_losses
from trainer.export.trained import Predict
from trainer.network.scores import Arrays
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.evaluation import Importance
from transforms.contract.workspace.manifest import MISSING_SUFFIX, TransformManifest

_MOST_ROWS = 2_000  # the error of a mean over so many is a fortieth of what one row varies by
_MOST_BYTES = 256 * 1024 * 1024  # of stored values that are answered for, all columns together
_FEWEST_ROWS = 100


def importances(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    predict: Predict,
    stored: Sequence[ShardFile],
    batch_size: int,
) -> tuple[Importance, ...]:
    """Returns every column's importance, the most important one first; nothing without test rows.

    Args:
        pipeline: The declaration.
        manifest: What the shards hold.
        predict: The trained model.
        stored: Verified test shards, of which batches from all over are taken.
        batch_size: Rows to answer for at a time.
    """
    columns = _columns(manifest)
    if not count_rows(stored) or not columns:
        return ()
    rows = _rows(pipeline, manifest, stored, batch_size, len(columns))
    before = rows.losses(predict, rows.inputs)
    random = np.random.default_rng(pipeline.training.seed)
    gains = []
    for column, names in columns.items():
        order = random.permutation(len(before))
        shuffled = {name: rows.inputs[name][order] for name in names}
        gained = rows.losses(predict, {**rows.inputs, **shuffled}) - before
        error = float(gained.std() / np.sqrt(len(gained)))
        gains.append(Importance(column=column, loss=float(gained.mean()), error=error))
    return tuple(sorted(gains, key=lambda each: -each.loss))


def _columns(manifest: TransformManifest) -> dict[str, list[str]]:
    """Returns the model's inputs that every raw column feeds."""
    inputs = {stored.name for stored in manifest.inputs()}
    columns: dict[str, list[str]] = {}
    for feature, raw in manifest.raw_features.items():
        own = [name for name in (feature, feature + MISSING_SUFFIX) if name in inputs]
        columns.setdefault(raw.name, []).extend(own)
    return {column: names for column, names in columns.items() if names}


class _Rows:
    """Test rows in memory, with the loss of answers for them."""

    def __init__(
        self,
        pipeline: PipelineSpec,
        manifest: TransformManifest,
        parts: Sequence[tuple[Arrays, ...]],
    ) -> None:
        self._pipeline = pipeline
        self._manifest = manifest
        joined = [
            {name: np.concatenate([part[place][name] for part in parts]) for name in first}
            for place, first in enumerate(parts[0])
        ]
        self.inputs, self._truths, self._weights = joined
        self._batch = max(len(next(iter(part[0].values()))) for part in parts)

    def losses(self, predict: Predict, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the loss of every row, all targets together, float64 [rows]."""
        rows = len(next(iter(inputs.values())))
        return np.concatenate(
            [
                self._losses(predict, inputs, slice(start, start + self._batch))
                for start in range(0, rows, self._batch)
            ]
        )

    def _losses(
        self, predict: Predict, inputs: Mapping[str, np.ndarray], part: slice
    ) -> np.ndarray:
        answers = predict({name: tf.constant(values[part]) for name, values in inputs.items()})
        total = np.zeros(len(next(iter(answers.values()))))
        for name, target in self._pipeline.targets.items():
            labelled = self._weights[name][part] > 0
            truth = unshaped(self._truths[name][part][labelled])
            statistics = self._manifest.targets[name]
            losses = row_losses(target, statistics, answers[name][labelled], truth)
            total[labelled] += target.loss_weight * losses
        return total


def _rows(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    stored: Sequence[ShardFile],
    batch_size: int,
    columns: int,
) -> _Rows:
    row_bytes = sum(each.row_bytes() for each in manifest.inputs())
    affordable = max(_FEWEST_ROWS, _MOST_BYTES // (row_bytes * columns))
    wanted = -(-min(_MOST_ROWS, affordable) // batch_size)
    there = -(-count_rows(stored) // batch_size)
    layout = BatchLayout.for_evaluation(pipeline, manifest)
    batches = evaluation_batches(stored, layout, batch_size)
    chosen = islice(batches, 0, None, max(1, there // wanted))
    parts: list[tuple[Arrays, ...]] = [
        tuple({name: values.numpy() for name, values in part.items()} for part in batch)
        for batch in islice(chosen, wanted)
    ]
    return _Rows(pipeline, manifest, parts)
