"""Every partition's statistics, a file each, so that only partitions without one are read."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from transforms.analysis.reject_budget import RejectBudget, rows_with_key
from transforms.analysis.request_counter import RequestCounter
from transforms.beam import COUNTER, known_rows, marked_errors, run_todo, workers
from transforms.contract.declaration.split import SPLITS
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.cache import local_copies
from transforms.contract.workspace.files import (
    TEMPORARY,
    Place,
    children,
    presence,
    remove,
    rename,
)
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
    is_counted = presence(_path(job, part) for part in job.partitions)
    todo = [part for part in job.partitions if not is_counted(_path(job, part))]
    units = _units(job, todo)
    paths = _paths(job, todo)
    call, with_key = uuid.uuid4().hex[:8], rows_with_key(job)

    def build(p: beam.Pipeline, arrival: Arrival) -> None:
        _ = (
            p
            | "Units" >> beam.Create(units)
            | "SpreadUnits" >> beam.Reshuffle()
            | "CountTrainingRows" >> beam.ParDo(_CountTrainingRows(job, call, arrival, with_key))
            | "MergePartitions" >> beam.GroupByKey()
            | "WriteStatistics" >> beam.Map(_write, job, arrival)
        )

    progress = COUNTER.reporting(
        job.pipeline.beam, job.folders(), known_rows(units), _RowsWritten(job, units, call)
    )
    with progress, _parts_removed(paths.values(), call):
        run_todo(job.pipeline.beam, job.folders(), build, units)
    is_counted = presence(paths.values())
    for partition in todo:  # without a row there is no unit to write it
        if not is_counted(paths[partition.name]):
            _refuse_changed(job, [partition])
            Accumulated().write(paths[partition.name])
    return PartitionsRead(len(todo), sum(counted.rows for _, counted in _read(job, todo)))


def statistics_of(job: TransformJob) -> Accumulated:
    """Returns what the training rows of all the job's partitions add up to."""
    return merged(counted for _, counted in read_partitions(job))


def read_partitions(job: TransformJob) -> Iterator[tuple[Partition, Accumulated]]:
    """Yields the job's partitions with what their training rows add up to, in their order."""
    return _read(job, job.partitions)


def _read(
    job: TransformJob, partitions: Sequence[Partition]
) -> Iterator[tuple[Partition, Accumulated]]:
    paths = _paths(job, partitions)
    copies = local_copies(paths.values())  # side by side where they are of a bucket
    for part in partitions:
        path = paths[part.name]
        yield part, Accumulated.read(path, copies.get(path))


def _path(job: TransformJob, partition: Partition) -> Place:
    return job.folders().statistics(job.pipeline.data_fingerprint(), *partition.id)


def _paths(job: TransformJob, partitions: Iterable[Partition]) -> dict[str, Place]:
    """Returns the place of every partition's statistics, by its name."""
    return {part.name: _path(job, part) for part in partitions}


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
        paths = _paths(job, job.partitions)
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
        with suppress(OSError, BraidError):  # the next look tells as much
            self._look()
        return self._done

    def _look(self) -> None:
        parts = {
            tuple(Path(path.name).stem.removeprefix(TEMPORARY).split("-")[:3])
            for path in _parts_of(self._folder, self._call)
        }
        is_there = presence(path for path, _ in self._left.values())
        whole = {path for path, _ in self._left.values() if is_there(path)}
        written = [key for key, (path, _) in self._left.items() if key in parts or path in whole]
        self._done += sum(self._left.pop(key)[1] for key in written)


@contextmanager
def _parts_removed(paths: Iterable[Place], call: str) -> Iterator[None]:
    """Removes what units of this call wrote that became no part of a whole, however it ends.

    Calls of other runs may count into the same folder, so that theirs stay.
    """
    try:
        yield
    finally:
        for folder in {path.parent for path in paths}:
            for part in _parts_of(folder, call):
                remove(part)


def _parts_of(folder: Place, call: str) -> list[Place]:
    """Returns the files of a call's units."""
    paths = children(folder)
    return [p for p in paths if p.name.startswith(TEMPORARY) and f"-{call}-" in p.name]


def _write(counted: tuple[str, Iterable[str]], job: TransformJob, arrival: Arrival = HERE) -> None:
    name, parts = counted
    partition = job.partitions[_places(job)[name]]
    whole = _path(job, partition)
    if whole.exists():
        return  # a runner may give a partition twice, and the units' files are gone then
    with marked_errors("analyze"):
        arrival.refuse_forsaken()
        _refuse_changed(job, [partition])
        files = [whole.with_name(part) for part in sorted(parts)]  # one order, so one rounding
        if len(files) == 1:
            rename(files[0], whole.name)
            return
        copies = local_copies(files)
        merged(Accumulated.read(path, copies.get(path)) for path in files).write(whole)
        for path in files:
            remove(path)


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

    It gives the name of the file under its partition's: Beam would pickle and compress millions of
    terms.

    Args:
        job: What to count.
        call: What the names of all files of one call have in common.
        arrival: What a worker of another process writes first, and looks for.
        with_key: What `rows_with_key` says where the workspace is.
    """

    def __init__(
        self,
        job: TransformJob,
        call: str,
        arrival: Arrival = HERE,
        with_key: int | None = None,
    ) -> None:
        self._job, self._call, self._with_key, self._arrival = job, call, with_key, arrival
        self._places = _places(job)
        self._source = job.table().source.path

    def setup(self) -> None:
        """Opens the source once a worker."""
        with marked_errors("analyze"):
            self._arrival.tell()
        self._paths = _paths(self._job, self._job.partitions)  # of this machine's copies
        self._counter = RequestCounter.shared(self._job.pipeline)
        self._budget = RejectBudget.shared(self._job, self._call, self._with_key)
        self._reader = BatchReader(self._job.table(), self._counter.columns)
        raws = raw_columns(self._job.pipeline, with_targets=True)
        row_values = sum(math.prod(raws[name].shape) for name in self._counter.columns)
        self._batch_rows = max(1, min(_BATCH_VALUES // max(row_values, 1), _MAX_BATCH_ROWS))

    def process(self, unit: WorkUnit) -> Iterator[tuple[str, str]]:
        """Yields the name of the file of the unit's statistics."""
        whole = self._paths[unit.partition]
        if not whole.exists():  # else another attempt, or another run, has counted all of it
            yield unit.partition, self._counted(unit, whole)

    def _counted(self, unit: WorkUnit, whole: Place) -> str:
        total = Accumulated()
        with marked_errors("analyze"):
            self._arrival.refuse_forsaken()
            with unchanged(self._source, read_files(self._job.partitions, unit)):
                self._add_rows(unit, total)
            # No other attempt at the unit has this name, and names sort by the unit's number.
            attempt = uuid.uuid4().hex[:8]
            place = self._places[unit.partition]
            name = f"{TEMPORARY}{unit.index:05d}-{self._call}-{place}-{attempt}.arrow"
            total.write(whole.with_name(name))
        return name

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
