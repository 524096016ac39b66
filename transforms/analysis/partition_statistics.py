"""Every partition's statistics, a file each, so that only partitions without one are read."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from transforms.analysis.reject_budget import RejectBudget
from transforms.analysis.request_counter import RequestCounter
from transforms.beam import COUNTER, known_rows, marked_errors, run_todo, workers
from transforms.contract.declaration.split import SPLITS
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.files import TEMPORARY
from transforms.contract.workspace.partition import Partition
from transforms.graph.graph import raw_columns
from transforms.reading.batches import BatchReader
from transforms.runners.arrival import HERE, Arrival
from transforms.source.changes import refuse_changed, unchanged
from transforms.source.scan import open_filesystem
from transforms.source.units import WorkUnit, plan_units, read_files
from transforms.statistics.accumulators import Accumulated, merged

_BATCH_VALUES = 1 << 20  # numbers and short texts: some 10 MB; amortizes calls
_MAX_BATCH_ROWS = 16_384
_UNITS_PER_WORKER = 2


@dataclass(frozen=True)
class PartitionsRead:
    """The partitions that had to be read.

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
    call = uuid.uuid4().hex[:8]

    def build(p: beam.Pipeline, arrival: Arrival) -> None:
        _ = (
            p
            | "Units" >> beam.Create(units)
            | "SpreadUnits" >> beam.Reshuffle()
            | "CountTrainingRows" >> beam.ParDo(_CountTrainingRows(job, call, arrival))
            | "MergePartitions" >> beam.GroupByKey()
            | "WriteStatistics" >> beam.Map(_write, job, paths, arrival)
        )

    progress = COUNTER.reporting(
        job.pipeline.beam, known_rows(units), _RowsWritten(job, units, call)
    )
    with progress, _parts_removed(paths.values(), call):
        run_todo(job.pipeline.beam, job.folders(), build, units)
    for partition in todo:  # without a row there is no unit to write it
        if not paths[partition.name].exists():
            _refuse_changed(job, [partition])
            Accumulated().write(paths[partition.name])
    return PartitionsRead(len(todo), sum(Accumulated.read(path).rows for path in paths.values()))


def statistics_of(job: TransformJob) -> Accumulated:
    """Returns what the training rows of all the job's partitions add up to."""
    return merged(counted for _, counted in read_partitions(job))


def read_partitions(job: TransformJob) -> Iterator[tuple[Partition, Accumulated]]:
    """Yields the job's partitions with what their training rows add up to, in their order."""
    for part in job.partitions:
        yield part, Accumulated.read(_path(job, part))


def _path(job: TransformJob, partition: Partition) -> Path:
    return job.folders().statistics(job.pipeline.data_fingerprint(), *partition.id)


def _places(job: TransformJob) -> dict[str, int]:
    """Returns the number of every partition in the job."""
    return {partition.name: number for number, partition in enumerate(job.partitions)}


class _RowsWritten:
    """Counts the rows of the units of one call whose statistics are written, by their files.

    A unit whose number of rows only reading tells counts none.

    Args:
        job: The job; statistics of all its partitions lie in one folder.
        units: All units of the call.
        call: What the names of all files of the call have in common.
    """

    def __init__(self, job: TransformJob, units: Iterable[WorkUnit], call: str) -> None:
        paths = {part.name: _path(job, part) for part in job.partitions}
        places = _places(job)
        self._left = {
            (f"{unit.index:05d}", call, str(places[unit.partition])): (
                paths[unit.partition],
                unit.rows() or 0,
            )
            for unit in units
        }
        self._folder, self._call = _path(job, job.partitions[0]).parent, call
        self._done = 0

    def __call__(self) -> int:
        """Returns the rows of those that are written by now."""
        there = self._folder.glob(f"{TEMPORARY}*-{self._call}-*")
        parts = {tuple(path.stem.removeprefix(TEMPORARY).split("-")[:3]) for path in there}
        whole = {path for path, _ in self._left.values() if path.exists()}
        written = [key for key, (path, _) in self._left.items() if key in parts or path in whole]
        self._done += sum(self._left.pop(key)[1] for key in written)
        return self._done


@contextmanager
def _parts_removed(paths: Iterable[Path], call: str) -> Iterator[None]:
    """Removes what units of this call wrote that became no part of a whole, however it ends.

    Calls of other runs may count into the same folder, so that theirs stay.
    """
    try:
        yield
    finally:
        for folder in {path.parent for path in paths}:
            for part in folder.glob(f"{TEMPORARY}*-{call}-*"):
                part.unlink(missing_ok=True)


def _write(
    counted: tuple[str, Iterable[str]],
    job: TransformJob,
    paths: dict[str, Path],
    arrival: Arrival = HERE,
) -> None:
    partition, parts = counted
    if paths[partition].exists():
        return  # a runner may give a partition twice, and the units' files are gone then
    with marked_errors("analyze"):
        arrival.refuse_forsaken()
        _refuse_changed(job, (part for part in job.partitions if part.name == partition))
        files = [Path(part) for part in sorted(parts)]  # the same order, so the same rounding
        if len(files) == 1:
            files[0].replace(paths[partition])
            return
        merged(map(Accumulated.read, files)).write(paths[partition])
        for path in files:
            path.unlink()


def _refuse_changed(job: TransformJob, partitions: Iterable[Partition]) -> None:
    files = (file for partition in partitions for file in partition.files)
    refuse_changed(job.table().source.path, files)


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
    """Reads a unit's training rows and writes what they add up to.

    It gives the file under its partition's name: Beam would pickle and compress millions of terms.

    Args:
        job: What to count.
        call: What the names of all files of one call have in common.
        arrival: What a worker of another process writes first, and looks for.
    """

    def __init__(self, job: TransformJob, call: str, arrival: Arrival = HERE) -> None:
        self._job, self._call, self._arrival = job, call, arrival
        self._paths = {part.name: _path(job, part) for part in job.partitions}
        self._places = _places(job)
        self._source = job.table().source.path

    def setup(self) -> None:
        """Opens the source once a worker."""
        with marked_errors("analyze"):
            self._arrival.tell()
        self._counter = RequestCounter.shared(self._job.pipeline)
        self._budget = RejectBudget.shared(self._job, self._call)
        self._reader = BatchReader(self._job.table(), self._counter.columns)
        raws = raw_columns(self._job.pipeline, with_targets=True)
        row_values = sum(math.prod(raws[name].shape) for name in self._counter.columns)
        self._batch_rows = max(1, min(_BATCH_VALUES // max(row_values, 1), _MAX_BATCH_ROWS))

    def process(self, unit: WorkUnit) -> Iterator[tuple[str, str]]:
        """Yields the file of the unit's statistics."""
        whole = self._paths[unit.partition]
        if not whole.exists():  # else another attempt, or another run, has counted all of it
            yield unit.partition, str(self._counted(unit, whole))

    def _counted(self, unit: WorkUnit, whole: Path) -> Path:
        total = Accumulated()
        with marked_errors("analyze"):
            self._arrival.refuse_forsaken()
            with unchanged(self._source, read_files(self._job.partitions, unit)):
                self._add_rows(unit, total)
            # No other attempt at the unit has this name, and names sort by the unit's number.
            attempt = uuid.uuid4().hex[:8]
            place = self._places[unit.partition]
            name = f"{TEMPORARY}{unit.index:05d}-{self._call}-{place}-{attempt}.arrow"
            path = whole.with_name(name)
            total.write(path)
        return path

    def _add_rows(self, unit: WorkUnit, total: Accumulated) -> None:
        for batch in self._reader.read(unit, self._batch_rows):
            total.rejects.update(f"{r.column}: {r.reason}" for r in batch.rejects)
            total.named += batch.rows - sum(not reject.key for reject in batch.rejects)
            self._budget.add(unit.partition, batch.rejects)
            rows = batch.splits == SPLITS.index("train")
            COUNTER.add(batch.rows + batch.left_out)
            if rows.any():
                total.rows += int(rows.sum())
                self._counter.add(batch.select(rows), total)
