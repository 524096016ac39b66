"""The transform: units of rows through the frozen graph into committed shards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress

import apache_beam as beam
import numpy as np

from transforms.beam import COUNTER, known_rows, marked_errors, repeated, run_todo, units_each
from transforms.contract.declaration.split import SPLITS
from transforms.contract.errors import BraidError
from transforms.contract.spec import Spec
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.results import TransformResult
from transforms.contract.workspace.documents import DamagedFile, read_json
from transforms.contract.workspace.files import (
    Place,
    children,
    presence,
    remove,
    write_atomic,
)
from transforms.contract.workspace.layout import GRAPH_FOLDER, MANIFEST_FILE, Workspace
from transforms.contract.workspace.manifest import (
    RAW_TARGET_PREFIX,
    RejectCount,
    ReplacedCount,
    ShardManifest,
    total_rejects,
    total_replaced,
)
from transforms.contract.workspace.partition import Partition
from transforms.reading.batches import BatchReader, RawBatch, Reject
from transforms.reading.sensitive import shown_rejects
from transforms.runners.arrival import HERE, Arrival
from transforms.shards.applying import GraphApplier
from transforms.shards.examples import ExampleEncoder
from transforms.shards.receipts import (
    UnitReceipt,
    folder_of,
    plan_path,
    read_receipt,
    receipt_path,
    units_left,
)
from transforms.shards.writer import ShardWriter, write_rejects
from transforms.source.changes import refuse_changed, unchanged
from transforms.source.scan import open_filesystem
from transforms.source.units import WorkUnit, plan_units, read_files

_BATCH_BYTES = 8 * 1024 * 1024  # of stored values; fits the caches of a few cores, amortizes calls
_MAX_BATCH_ROWS = 4_096
_COMMIT_SECONDS = (
    0.5  # between two looks for partitions whose units are all done; rarer in a bucket
)


def transform(text: str) -> TransformResult:
    """Runs a `TransformJob` given as JSON: transforms its partitions and commits their shards.

    A partition is committed as soon as its units are done, while others are still being worked on.
    What an earlier, killed run finished is kept: whole partitions by their manifests, units of
    work by their receipts.

    Raises:
        BraidError: A file cannot be read, or changed meanwhile, or the disk is full.
    """
    started = time.monotonic()
    job = _without_committed(TransformJob.model_validate_json(text))
    plan = _plan(job)
    cut = {name: units for name, (units, _) in plan.items()}
    lanes = {name: lanes for name, (_, lanes) in plan.items()}
    todo = [unit for part in job.partitions for unit in units_left(job, part, cut[part.name])]
    commits = _Commits(job, cut, todo)

    def build(p: beam.Pipeline, arrival: Arrival) -> None:
        # `Create` spreads the units over all workers, in their order: the source's first partition
        # is done first. Another reshuffle would mix them.
        units = p | "Units" >> beam.Create(todo)
        _ = units | "TransformUnits" >> beam.ParDo(_TransformUnit(job, lanes, arrival))

    spec, folders = job.pipeline.beam, job.folders()
    with COUNTER.reporting(spec, folders, known_rows(todo), commits.rows_written):
        with repeated(commits.try_those_done, max(_COMMIT_SECONDS, folders.poll_seconds)):
            run_todo(spec, folders, build, todo)
        commits.all()
    return TransformResult(
        rows=commits.rows, partitions=len(job.partitions), seconds=time.monotonic() - started
    )


def _without_committed(job: TransformJob) -> TransformJob:
    committed = job.folders().committed(job.transform, [part.id for part in job.partitions])
    left = tuple(part for part in job.partitions if part.id not in committed)
    return job.model_copy(update={"partitions": left})


class _Commits:
    """Commits partitions, and counts the rows that this run read for them."""

    def __init__(
        self, job: TransformJob, plan: Mapping[str, list[WorkUnit]], todo: Sequence[WorkUnit]
    ) -> None:
        self._job = job
        self._plan = plan
        self._todo = {(unit.partition, unit.index) for unit in todo}
        self._pending = list(job.partitions)
        self._written: dict[tuple[str, int], int] = {}
        self.rows = 0

    def try_those_done(self) -> None:
        """Commits every partition whose units are done, if that can be done now."""
        with suppress(OSError, BraidError):  # `all` tries again, and tells what is wrong
            is_done = self._is_done()
            for partition in list(self._pending):
                if all(is_done(partition, unit) for unit in self._plan[partition.name]):
                    self._commit(partition)

    def _is_done(self) -> Callable[[Partition, WorkUnit], bool]:
        """Returns a look at which units of the pending partitions have their receipts."""
        is_there = presence(plan_path(self._job, part) for part in self._pending)
        return lambda part, unit: is_there(receipt_path(self._job, part, unit))

    def rows_written(self) -> int:
        """Returns the rows of the units that this run's workers are done with, by their receipts.

        Rows that `source.where` leaves out are among them.
        """
        left = self._todo.difference(self._written.copy())
        with suppress(OSError, BraidError):  # the next look tells as much
            is_done = self._is_done()
            for partition in list(self._pending):
                for unit in self._plan[partition.name]:
                    if (unit.partition, unit.index) in left and is_done(partition, unit):
                        with suppress(OSError, BraidError):  # it is just committed
                            self._note(unit, read_receipt(self._job, partition, unit))
        return sum(self._written.copy().values())

    def _note(self, unit: WorkUnit, receipt: UnitReceipt) -> None:
        self._written[unit.partition, unit.index] = receipt.rows + receipt.left_out

    def all(self) -> None:
        """Commits every partition that is not committed yet."""
        for partition in list(self._pending):
            self._commit(partition)

    def _commit(self, partition: Partition) -> None:
        units = self._plan[partition.name]
        read = [unit for unit in units if (unit.partition, unit.index) in self._todo]
        receipts = [read_receipt(self._job, partition, unit) for unit in read]
        for unit, receipt in zip(read, receipts, strict=True):
            self._note(unit, receipt)
        rows = sum(receipt.rows for receipt in receipts)
        _commit(self._job, partition, units)
        self._pending.remove(partition)
        self.rows += rows


class _Plan(Spec):
    """The way a partition is cut and written, which a resumed run follows on any machine.

    Attributes:
        at_least: How many units were asked for.
        lanes: Files that a unit's training rows go to, side by side.
    """

    at_least: int
    lanes: int


def _plan(job: TransformJob) -> dict[str, tuple[list[WorkUnit], int]]:
    """Returns every partition's units of work, and their lanes.

    What an earlier, killed run began goes on as it was planned then: by now other partitions may
    be committed, and the order in which rows are read, and so the model, would depend on that.
    """
    wanted = units_each(job.pipeline.beam, len(job.partitions))
    is_there = presence(plan_path(job, partition) for partition in job.partitions)
    known = {
        partition.name: _read_plan(job, partition) if is_there(plan_path(job, partition)) else None
        for partition in job.partitions
    }
    units = {
        partition.name: _cut(job, partition, plan.at_least if plan else wanted)
        for partition, plan in zip(job.partitions, known.values(), strict=True)
    }
    lanes = -(-job.pipeline.transform.min_shards // max(sum(map(len, units.values())), 1))
    new = _Plan(at_least=wanted, lanes=lanes)
    for partition in job.partitions:
        if known[partition.name] is None:
            write_atomic(plan_path(job, partition), new.model_dump_json())
    return {name: (units[name], (plan or new).lanes) for name, plan in known.items()}


def _read_plan(job: TransformJob, partition: Partition) -> _Plan | None:
    try:
        return read_json(plan_path(job, partition), _Plan)
    except DamagedFile:  # of another version, whose units may be cut otherwise
        job.refuse_lost_lease()
        job.folders().remove_units(job.transform, *partition.id)
        return None


def _cut(job: TransformJob, partition: Partition, at_least: int) -> list[WorkUnit]:
    source = job.table().source
    filesystem, _ = open_filesystem(source.path)
    return plan_units(partition, format_=source.format, filesystem=filesystem, at_least=at_least)


class _TransformUnit(beam.DoFn):  # type: ignore[misc]
    """Reads, checks, transforms and writes one unit, where it is: pixels never cross a stage."""

    def __init__(
        self, job: TransformJob, lanes: Mapping[str, int], arrival: Arrival = HERE
    ) -> None:
        self._job, self._lanes, self._arrival = job, lanes, arrival
        self._source = job.table().source.path

    def setup(self) -> None:
        """Loads the graph once a process and opens the source once a worker."""
        with marked_errors("transform"):
            self._arrival.tell()
        workspace = self._job.folders()
        manifest = workspace.read_transform(self._job.transform)
        if manifest is None:
            raise FileNotFoundError(str(workspace.transform(self._job.transform)))
        graph = workspace.transform_folder(self._job.transform) / GRAPH_FOLDER
        self._applier = GraphApplier.shared(self._job.pipeline, graph)
        self._reader = BatchReader(self._job.table())
        self._partitions = {partition.name: partition for partition in self._job.partitions}
        self._encoder = ExampleEncoder()
        self._stored = [stored.name for stored in manifest.in_records()]
        self._labels = [s.name for s in manifest.stored if s.role in ("target", "weight")]
        self._inputs = [raw.name for raw in manifest.raw_inputs()]
        row_bytes = sum(stored.row_bytes() for stored in manifest.in_records())
        self._batch_rows = max(1, min(_BATCH_BYTES // row_bytes, _MAX_BATCH_ROWS))

    def process(self, unit: WorkUnit) -> None:
        """Transforms one unit; its receipt is written last."""
        with marked_errors("transform"):
            self._arrival.refuse_forsaken()
            try:
                self._transform(unit)
            except FileNotFoundError:
                # Another attempt's commit removes what this one had under temporary names.
                if not self._is_done(unit):
                    raise

    def _transform(self, unit: WorkUnit) -> None:
        partition = self._partitions[unit.partition]
        folder = folder_of(self._job, partition)
        if self._is_done(unit):
            return
        rejects: list[Reject] = []
        replaced: Counter[tuple[str, str]] = Counter()
        rows = left_out = 0
        with ExitStack() as undo:
            writers = self._writers(folder, unit)
            for writer in writers.values():
                undo.callback(writer.abandon)
            with unchanged(self._source, read_files(self._job.partitions, unit)):
                for batch in self._reader.read(unit, self._batch_rows):
                    outputs = self._applier.apply(batch)
                    self._write(writers, batch, outputs)
                    rejects += shown_rejects(self._job.pipeline, batch.rejects)
                    replaced += batch.replaced
                    rows += batch.rows
                    left_out += batch.left_out
                    COUNTER.add(batch.rows + batch.left_out)
            shards = [shard for writer in writers.values() for shard in writer.close()]
            if self._is_done(unit):
                return
            for writer in writers.values():
                writer.commit()
        if rejects:
            write_rejects(_rejects_path(self._job.folders(), self._job, unit, partition), rejects)
        receipt = UnitReceipt(
            shards=tuple(shards),
            rows=rows,
            left_out=left_out,
            rejects=_count_rejects(rejects),
            replaced=tuple(
                ReplacedCount(column=c, reason=r, rows=n) for (c, r), n in sorted(replaced.items())
            ),
        )
        write_atomic(receipt_path(self._job, partition, unit), receipt.model_dump_json())

    def _is_done(self, unit: WorkUnit) -> bool:
        """Returns whether a unit is: a runner may give one twice, and what is committed stays."""
        partition = self._partitions[unit.partition]
        return receipt_path(
            self._job, partition, unit
        ).exists() or self._job.folders().is_committed(self._job.transform, *partition.id)

    def _writers(self, folder: Place, unit: WorkUnit) -> dict[str, ShardWriter]:
        size = self._job.pipeline.transform.shard_bytes
        writers: dict[str, ShardWriter] = {
            split: ShardWriter(
                folder,
                f"{split}-{unit.index:05d}",
                split=split,
                content="stored",
                lanes=self._lanes[unit.partition] if split == "train" else 1,
                shard_bytes=size,
            )
            for split in SPLITS
        }
        writers["raw"] = ShardWriter(
            folder,
            f"raw-test-{unit.index:05d}",
            split="test",
            content="raw",
            lanes=1,
            shard_bytes=size,
        )
        return writers

    def _write(
        self, writers: dict[str, ShardWriter], batch: RawBatch, outputs: dict[str, np.ndarray]
    ) -> None:
        records = self._encoder.encode({name: outputs[name] for name in self._stored})
        for index, split in enumerate(SPLITS):
            writers[split].write([records[row] for row in np.flatnonzero(batch.splits == index)])
        test = batch.splits == SPLITS.index("test")
        if test.any():
            raw = {name: batch.columns[name][test] for name in self._inputs}
            raw |= {RAW_TARGET_PREFIX + name: outputs[name][test] for name in self._labels}
            writers["raw"].write(self._encoder.encode(raw))


def _rejects_path(
    workspace: Workspace, job: TransformJob, unit: WorkUnit, partition: Partition
) -> Place:
    folder = workspace.rejects(job.transform, *partition.id)
    return folder / f"{unit.index:05d}.parquet"


def _count_rejects(rejects: list[Reject]) -> tuple[RejectCount, ...]:
    first: dict[tuple[str, str], Reject] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for reject in rejects:
        first.setdefault((reject.column, reject.reason), reject)
        counts[reject.column, reject.reason] += 1
    return tuple(
        RejectCount(
            column=key[0],
            reason=key[1],
            rows=counts[key],
            example_key=first[key].key,
            example_file=first[key].file,
        )
        for key in sorted(counts)
    )


def _commit(job: TransformJob, partition: Partition, units: list[WorkUnit]) -> None:
    """Writes the partition's manifest from its receipts, then removes what it does not name.

    Raises:
        BraidError: A file of the partition changed since the run looked for it.
        LeaseLost: Another workspace writes these shards by now.
    """
    refuse_changed(job.table().source.path, partition.files)
    folder = folder_of(job, partition)
    receipts = [read_receipt(job, partition, unit) for unit in units]
    manifest = ShardManifest(
        transform=job.transform,
        partition=partition.name,
        partition_fingerprint=partition.fingerprint,
        shards=tuple(shard for receipt in receipts for shard in receipt.shards),
        rows=sum(receipt.rows for receipt in receipts),
        left_out=sum(receipt.left_out for receipt in receipts),
        rejects=tuple(total_rejects(receipts)),
        replaced=tuple(total_replaced(receipts)),
    )
    workspace = job.folders()
    place = workspace.manifest(job.transform, *partition.id)
    job.refuse_lost_lease()
    write_atomic(place, manifest.model_dump_json(indent=1))
    job.refuse_lost_lease()  # what follows may be another's by now
    named = {MANIFEST_FILE, *(shard.file for shard in manifest.shards)}
    for path in children(folder):
        if path.name not in named:
            remove(path)
    workspace.remove_units(job.transform, *partition.id)
