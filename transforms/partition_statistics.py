"""Every partition's statistics, a file each, so that only partitions without one are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from transforms.accumulators import Accumulated, merged
from transforms.contract.jobs import Partition, TransformJob
from transforms.contract.source import SPLITS
from transforms.counting import RequestCounter
from transforms.reading import BatchReader
from transforms.running import COUNTER, known_rows, marked_errors, run_pipeline, workers
from transforms.source import open_filesystem
from transforms.units import WorkUnit, plan_units

_BATCH_ROWS = 8_192  # numbers and short texts: a few MB
_UNITS_PER_WORKER = 2


@dataclass(frozen=True)
class PartitionsRead:
    """What had to be read.

    Attributes:
        partitions: Those that had no statistics.
        rows: Their training rows.
    """

    partitions: int
    rows: int


def count_partitions(job: TransformJob) -> PartitionsRead:
    """Reads the job's partitions that have no statistics yet, and writes them."""
    todo = [part for part in job.partitions if not _path(job, part).exists()]
    units = _units(job, todo)
    paths = {part.name: _path(job, part) for part in todo}

    def build(p: beam.Pipeline) -> None:
        _ = (
            p
            | "Units" >> beam.Create(units)
            | "SpreadUnits" >> beam.Reshuffle()
            | "CountTrainingRows" >> beam.ParDo(_CountTrainingRows(job))
            | "MergePartitions" >> beam.GroupByKey()
            | "WriteStatistics" >> beam.Map(_write, paths)
        )

    with COUNTER.reporting(known_rows(units)):
        if units:
            run_pipeline(job.pipeline.beam, build)
    for path in paths.values():  # without a row there is no unit to write it
        if not path.exists():
            Accumulated().write(path)
    return PartitionsRead(len(todo), sum(Accumulated.read(path).rows for path in paths.values()))


def statistics_of(job: TransformJob) -> Accumulated:
    """Returns what the training rows of all the job's partitions add up to."""
    return merged(Accumulated.read(_path(job, part)) for part in job.partitions)


def _path(job: TransformJob, partition: Partition) -> Path:
    declaration = job.pipeline.data_fingerprint()
    return job.folders().statistics(declaration, partition.name, partition.fingerprint)


def _write(counted: tuple[str, Iterable[Accumulated]], paths: dict[str, Path]) -> None:
    partition, parts = counted
    with marked_errors("analyze"):
        merged(parts).write(paths[partition])


def _units(job: TransformJob, partitions: list[Partition]) -> list[WorkUnit]:
    source = job.table().source
    filesystem, _ = open_filesystem(source.path)
    wanted = -(-_UNITS_PER_WORKER * workers(job.pipeline.beam) // max(len(partitions), 1))
    return [
        unit
        for partition in partitions
        for unit in plan_units(
            partition, format_=source.format, filesystem=filesystem, at_least=wanted
        )
    ]


class _CountTrainingRows(beam.DoFn):  # type: ignore[misc]
    """Reads a unit's training rows and gives what they add up to, under its partition's name."""

    def __init__(self, job: TransformJob) -> None:
        self._job = job

    def setup(self) -> None:
        """Opens the source once a worker."""
        self._counter = RequestCounter.shared(self._job.pipeline)
        self._reader = BatchReader(self._job.table(), self._counter.columns)

    def process(self, unit: WorkUnit) -> Iterator[tuple[str, Accumulated]]:
        """Yields the unit's statistics."""
        total = Accumulated()
        with marked_errors("analyze"):
            for batch in self._reader.read(unit, _BATCH_ROWS):
                total.rejects.update(f"{r.column}: {r.reason}" for r in batch.rejects)
                rows = batch.splits == SPLITS.index("train")
                COUNTER.add(batch.rows)
                if rows.any():
                    total.rows += int(rows.sum())
                    self._counter.add(batch.select(rows), total)
            total.terms = [total.counts()]  # merged, before it travels
        yield unit.partition, total
