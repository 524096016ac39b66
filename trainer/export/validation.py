"""The trained network's answers for the validation rows, before anything is done to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainer.data.shards import count_rows, shard_files, verify
from trainer.data.stream import BatchLayout, evaluation_batches, readable_errors, unshaped
from trainer.export.spread import Factors
from trainer.export.trained import predictor
from trainer.network.heads import head_of
from trainer.run_folder import CHOSEN_FILE, MODEL_FILE
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.manifest import SPREAD_SUFFIX, TransformManifest

_MOST_ROWS = 256  # at a time


def validation_answers(
    job: TrainJob, manifest: TransformManifest, names: Sequence[str], factors: Factors | None = None
) -> dict[str, tuple[np.ndarray, ...]]:
    """Returns truths and predictions of targets as metrics take them, and the spread if asked for.

    They are of the model that has not learnt the validation rows; rows without a label are left
    out, and so is a target without a row.

    Args:
        job: The run's.
        manifest: What the shards hold.
        names: Of the targets.
        factors: Of the spreads that are wanted beside them.

    Raises:
        BraidError: A shard is damaged.
    """
    pipeline, folder = job.pipeline, Path(job.run_folder)
    files = shard_files(job, "validation")
    if not names or count_rows(files) == 0:
        return {}
    verify(files)
    chosen = CHOSEN_FILE if (folder / CHOSEN_FILE).exists() else MODEL_FILE
    predict = predictor(pipeline, manifest, folder, chosen, factors)
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in names}
    layout, rows = BatchLayout.for_evaluation(pipeline, manifest), manifest.batch_rows(_MOST_ROWS)
    with readable_errors(files):
        for inputs, targets, weights in evaluation_batches(files, layout, rows):
            predictions = predict(inputs)
            for name in names:
                kept = weights[name].numpy() > 0
                truth = unshaped(targets[name].numpy()[kept])
                truth = head_of(pipeline.targets[name]).in_unit(manifest.targets[name], truth)
                wanted = [n for n in (name, name + SPREAD_SUFFIX) if n in predictions]
                parts[name].append((truth, *(predictions[n][kept] for n in wanted)))
    joined = {
        name: tuple(map(np.concatenate, zip(*own, strict=True))) for name, own in parts.items()
    }
    return {name: own for name, own in joined.items() if len(own[0])}
