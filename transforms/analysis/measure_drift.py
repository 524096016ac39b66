"""The distance of new partitions from those that a transform was frozen on."""

from __future__ import annotations

import time

from transforms.analysis.partition_statistics import count_partitions, statistics_of
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.results import MeasureResult
from transforms.contract.workspace.drift import MeasuredDrift
from transforms.contract.workspace.files import write_atomic
from transforms.statistics.drift_reference import distances
from transforms.statistics.frozen import statistics_folder


def measure(text: str) -> MeasureResult:
    """Runs a `TransformJob` given as JSON: measures its new partitions against its transform.

    Their statistics are left for a later analysis.

    Raises:
        BraidError: A file cannot be read.
    """
    started = time.monotonic()
    job = TransformJob.model_validate_json(text)
    read = count_partitions(job)
    total = statistics_of(job)
    folders = job.folders()
    partitions = {partition.name: partition.fingerprint for partition in job.partitions}
    measured = MeasuredDrift(
        transform=job.transform,
        partitions=partitions,
        rows=total.rows,
        features=distances(statistics_folder(folders.transform_folder(job.transform)), total),
    )
    write_atomic(folders.drift(job.transform, partitions), measured.model_dump_json(indent=1))
    return MeasureResult(
        rows=read.rows, partitions=read.partitions, seconds=time.monotonic() - started
    )
