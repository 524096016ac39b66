"""The answers of a registered model for its test rows, which those for served rows are held to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer.data.shards import shard_files
from trainer.export.serving import load
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.monitoring import ANSWER_PREFIX, ANSWERS_FILE, AnswersResult
from transforms.contract.workspace.files import replacing

_MOST_ROWS = 5_000  # more would tell nothing that a day of requests could be too few to show
_MOST_DIMENSIONS = 2  # rows, and the entries of a list; a picture is not compared


def answers(job: TrainJob) -> AnswersResult:
    """Scores test rows with the export in `job.champion`, and writes its answers.

    Raises:
        BraidError: The export or a shard is damaged.
    """
    scorer = load(str(job.champion))
    parts = [scorer.score_examples(tf.stack(list(batch))) for batch in _batches(job)]
    columns = {
        ANSWER_PREFIX + name: np.concatenate([part[name] for part in parts])
        for name in (parts[0] if parts else {})
        if parts[0][name].ndim <= _MOST_DIMENSIONS
    }
    with replacing(Path(job.run_folder) / ANSWERS_FILE) as temporary, temporary.open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type] # no name is one of its arguments
    return AnswersResult(rows=sum(len(next(iter(part.values()))) for part in parts))


def _batches(job: TrainJob) -> Iterator[list[tf.Tensor]]:
    files = [str(file.path) for file in shard_files(job, "test", "raw") if file.shard.rows]
    if files:
        rows = islice(iter(tf.data.TFRecordDataset(files)), _MOST_ROWS)
        size = job.manifest().batch_rows(256)
        while batch := list(islice(rows, size)):
            yield batch
