"""The present champion on the new test rows, whatever its own labels and scales were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import parse_records, raw_batches, readable_errors
from trainer.evaluation.metrics import SplitScores
from trainer.evaluation.row_terms import RowTerms
from trainer.export.serving import Scorer, load
from trainer.network.heads import head_of
from transforms.contract.columns.targets import ClassMask, Multiclass, Multilabel, Target
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import (
    DECISION_SUFFIX,
    RAW_TARGET_PREFIX,
    WEIGHT_SUFFIX,
    StoredFeature,
    TransformManifest,
)


class NotComparableError(Exception):
    """The champion cannot be scored on the new test rows; the message says why."""


def score_champion(
    folder: str,
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    files: Sequence[ShardFile],
    batch_size: int,
    terms: RowTerms | None = None,
) -> dict[str, float]:
    """Returns the champion's test metrics, by the names of the new model's.

    Its classes are matched by label, its numbers compared in the column's unit. A target that it
    does not have, or has as another kind, gives no metric.

    Args:
        folder: The champion's export.
        pipeline: The new declaration: its metrics are computed.
        manifest: The new transform, which wrote the truths.
        files: Verified raw test shards.
        batch_size: Rows to score at a time.
        terms: Collects what the metrics need of every row, if that is wanted.

    Raises:
        NotComparableError: There are no rows, or they lack what the champion takes.
    """
    if count_rows(files) == 0:
        raise NotComparableError("there are no test rows")
    champion = load(Path(folder))
    _refuse_other_inputs(champion.manifest, manifest)
    shared = frozenset(
        name
        for name, target in pipeline.targets.items()
        if _is_comparable(champion.pipeline.targets.get(name), target)
    )
    scores = SplitScores(pipeline, manifest, shared, terms)
    labels = [s for s in manifest.stored if s.role in ("target", "weight")]
    with readable_errors(files):
        for records in raw_batches(files, batch_size):
            truths, weights = _labels(records, labels)
            served = _served(champion, records)
            predictions = {
                name: _predictions(name, pipeline, manifest, champion, served) for name in shared
            }
            decided = {name + DECISION_SUFFIX for name in shared} & served.keys()
            predictions |= {name: served[name] for name in decided}
            scores.update(predictions, truths, weights)
    return scores.results("test")


def _served(champion: Scorer, records: tf.Tensor) -> dict[str, np.ndarray]:
    try:
        return champion.score_examples(records)
    except tf.errors.InvalidArgumentError as error:
        reason = error.message.splitlines()[0]
        raise NotComparableError(f"it cannot read the test rows: {reason}") from error


def _is_comparable(champions: Target | None, target: Target) -> bool:
    """Returns whether two declarations of a target have predictions of one shape and meaning."""
    if champions is None or type(champions) is not type(target):
        return False
    if isinstance(champions, ClassMask) and isinstance(target, ClassMask):
        return champions.layout() == target.layout() and champions.classes == target.classes
    return champions.layout() == target.layout()


def _refuse_other_inputs(champion: TransformManifest, manifest: TransformManifest) -> None:
    """Refuses a champion that takes what the raw test rows do not hold.

    A column that they lack would be missing in every row for it, so its metrics would mean nothing.
    """
    held = {raw.name: raw for raw in (*manifest.raw_inputs(), *manifest.unused)}
    for raw in champion.raw_inputs():
        if raw.name not in held:
            raise NotComparableError(f"it takes the column '{raw.name}', which no feature reads")
        if raw != held[raw.name]:
            raise NotComparableError(
                f"it takes the column '{raw.name}' as {raw.in_words()}, which is read as "
                f"{held[raw.name].in_words()} now"
            )


def _labels(
    records: tf.Tensor, labels: Sequence[StoredFeature]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    parsed = parse_records(records, labels, RAW_TARGET_PREFIX)
    truths = {s.name: parsed[s.name].numpy() for s in labels if s.role == "target"}
    weights = {
        name: parsed[name + WEIGHT_SUFFIX].numpy()
        if name + WEIGHT_SUFFIX in parsed
        else np.ones(len(truth), np.float32)
        for name, truth in truths.items()
    }
    return truths, weights


def _predictions(
    name: str,
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    champion: Scorer,
    served: Mapping[str, np.ndarray],
) -> np.ndarray:
    target = pipeline.targets[name]
    values: np.ndarray = head_of(target).predictions(name, served)
    labels, wanted = champion.manifest.targets[name].labels, manifest.targets[name].labels
    if isinstance(target, Multilabel):
        return reordered(values, labels, wanted)[:, : len(wanted)]
    if not isinstance(target, Multiclass):
        return values
    return reordered(values, labels, wanted)


def reordered(
    probabilities: np.ndarray, labels: Sequence[str], wanted: Sequence[str]
) -> np.ndarray:
    """Returns class probabilities in another order of labels.

    Args:
        probabilities: [B, labels].
        labels: Whose they are.
        wanted: The order to give; a label that has no probability gets 0.

    Returns:
        [B, wanted + others]. Labels that are not wanted come last: choosing one is a mistake, and
        has to be able to count as one.
    """
    others = [label for label in labels if label not in wanted]
    index = {label: position for position, label in enumerate(labels)}
    zeros = np.zeros(len(probabilities), probabilities.dtype)
    columns = [
        probabilities[:, index[label]] if label in index else zeros for label in [*wanted, *others]
    ]
    return np.stack(columns, axis=1)
