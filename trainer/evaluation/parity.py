"""Training/serving parity: the same rows through the shards and through the export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import BatchLayout, evaluation_batches, raw_batches, readable_errors
from trainer.export.export import parse_examples
from trainer.export.serving import Scorer
from trainer.network.heads import head_of
from trainer.network.scores import Arrays
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import TransformManifest

_MOST_ROWS = 256
_TOLERANCE = 1e-4
_MIXED_TOLERANCE = 1e-2


def largest_difference(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    predict: Callable[[Any], Arrays],
    export: Scorer,
    stored: Sequence[ShardFile],
    raw: Sequence[ShardFile],
) -> float | None:
    """Compares the predictions for the first test rows, up to 256, or fewer of big pictures.

    Stored and raw shards of a unit of work hold the same rows in the same order, and the units
    sort alike, so the first rows of both are the same rows.

    Returns:
        The largest difference as a share of the value plus the target's scale; None without rows.

    Raises:
        BraidError: The difference is above 1e-4 (1e-2 for a model trained in mixed precision).
    """
    if count_rows(stored) == 0:
        return None
    if count_rows(stored) != count_rows(raw):
        raise BraidError(
            f"the test shards in {stored[0].path.parent}",
            expected=f"{count_rows(stored)} raw test rows beside the stored ones",
            received=str(count_rows(raw)),
            action="Delete that folder and run again: its partition is then transformed anew.",
        )
    layout = BatchLayout.for_evaluation(pipeline, manifest)
    rows = manifest.batch_rows(_MOST_ROWS)
    with readable_errors((*stored, *raw)):
        inputs, _, _ = next(iter(evaluation_batches(stored, layout, rows)))
        records = next(iter(raw_batches(raw, rows)))
    expected, served = predict(inputs), _served(export, manifest, inputs, records)
    limit = _MIXED_TOLERANCE if pipeline.training.mixed_precision else _TOLERANCE
    furthest = 0.0
    for name, target in pipeline.targets.items():
        wanted = expected[name]
        received = head_of(target).predictions(name, served)
        scale = np.asarray(manifest.targets[name].steepest())
        difference = np.abs(received - wanted) / (scale + np.abs(wanted))
        largest = float(difference.max())
        if not largest <= limit:  # so that NaN fails too
            row = int(np.unravel_index(np.nanargmax(difference), difference.shape)[0])
            raise _unequal(name, row, wanted[row], received[row], limit)
        furthest = max(furthest, largest)
    return furthest


def _served(
    export: Scorer, manifest: TransformManifest, inputs: Any, records: Any
) -> dict[str, np.ndarray]:
    """Returns the export's answers for raw records; of noise it gets that of the stored rows."""
    noise = {stored.name: inputs[stored.name].numpy() for stored in manifest.noise()}
    if not noise:
        return export.score_examples(records)
    columns = parse_examples(records, manifest.raw_inputs())
    return export.score({name: tensor.numpy() for name, tensor in columns.items()} | noise)


def _unequal(name: str, row: int, wanted: Any, received: Any, limit: float) -> BraidError:
    return BraidError(
        f"the export's '{name}' for test row {row}",
        expected=f"what the model gives for the row in the shards, {wanted}, within {limit}",
        received=str(received),
        action="The transform graph treats the raw row otherwise than the shards' transform did; "
        "delete the transform's folder and run again, or report it with the row.",
    )
