"""The expectations of a declaration, held against the statistics of every partition."""

from __future__ import annotations

import time
from pathlib import Path

from transforms.analysis.partition_statistics import count_partitions, read_partitions
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.results import ExpectResult
from transforms.contract.workspace.layout import TRANSFORM_FILE
from transforms.statistics.expectations import Judge
from transforms.statistics.frozen import statistics_folder

_MOST_SENTENCES = 20


class ExpectationsBroken(BraidError):  # noqa: N818 - it names what happened
    """Rows that are not what the declaration expects; nothing is learnt from them."""


def expect(text: str) -> ExpectResult:
    """Runs a `TransformJob` given as JSON: judges its partitions, and counts those that are new.

    Raises:
        ExpectationsBroken: Rows are not what is expected.
        BraidError: A file cannot be read.
    """
    started = time.monotonic()
    job = TransformJob.model_validate_json(text)
    read = count_partitions(job)
    check_expectations(job)
    seconds = time.monotonic() - started
    return ExpectResult(rows=read.rows, partitions=read.partitions, seconds=seconds)


def check_expectations(job: TransformJob) -> None:
    """Holds the job's partitions, whose statistics are there, against the expectations.

    Raises:
        ExpectationsBroken: With a sentence for every expectation that a partition breaks.
    """
    if not job.pipeline.expect:
        return
    judge = Judge(job.pipeline, _frozen(job))
    sentences = [
        sentence
        for partition, counted in read_partitions(job)
        for sentence in judge.broken(partition.name, counted)
    ]
    if sentences:
        more = len(sentences) - _MOST_SENTENCES
        told = [*sentences[:_MOST_SENTENCES], *([f"{more} more like these."] if more > 0 else [])]
        raise ExpectationsBroken(
            "expect",
            expected="rows as the declaration expects them, in every partition",
            received="\n".join(told),
            action="Mend the rows, or what `expect` says of them. Nothing was trained.",
        )


def _frozen(job: TransformJob) -> Path | None:
    """Returns the statistics of the transform that is kept, or else of the one that it refits."""
    workspace = job.folders()
    names = (name for name in (job.transform, job.base) if name)
    kept = (name for name in names if (workspace.transform(name) / TRANSFORM_FILE).exists())
    return next((statistics_folder(workspace.transform_folder(name)) for name in kept), None)
