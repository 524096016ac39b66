"""The answers of a registered model for its test rows, which those for served rows are held to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainer.data.shards import count_rows, shard_files, verify
from trainer.data.stream import readable_errors, sampled_records
from trainer.export.serving import load
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.monitoring import ANSWER_PREFIX, ANSWERS_FILE, AnswersResult
from transforms.contract.workspace.files import replacing

_MOST_ROWS = 5_000  # more would tell nothing that a day of requests could be too few to show
_MOST_DIMENSIONS = 2  # rows, and the entries of a list; a picture is not compared


def answers(job: TrainJob) -> AnswersResult:
    """Scores test rows of all partitions with the export in `job.champion`; writes its answers.

    Raises:
        BraidError: The export or a shard is damaged.
    """
    parts = _answers(job)
    columns = {
        ANSWER_PREFIX + name: np.concatenate([part[name] for part in parts])
        for name in (parts[0] if parts else {})
        if parts[0][name].ndim <= _MOST_DIMENSIONS
    }
    with replacing(Path(job.run_folder) / ANSWERS_FILE) as temporary, temporary.open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type] # no name is one of its arguments
    return AnswersResult(rows=sum(len(next(iter(part.values()))) for part in parts))


def _answers(job: TrainJob) -> list[dict[str, np.ndarray]]:
    scorer = load(str(job.champion))
    files = shard_files(job, "test", "raw")
    if count_rows(files) == 0:
        return []
    verify(files)
    batches = sampled_records(files, _MOST_ROWS).batch(job.manifest().batch_rows(256))
    with readable_errors(files):
        return [scorer.score_examples(records) for records in batches]
