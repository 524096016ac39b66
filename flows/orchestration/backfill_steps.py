"""The steps of a backfill as its flow takes them: partition by partition, each recorded.

A partition that fails does not stop the others; what is committed is never done again. Nothing
here imports Prefect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from flows.console.progress import Steps
from flows.process.child import StepStopped, refuse_stopped
from flows.records.backfill_record import BackfillRecord, PartitionRecord, Training
from flows.records.kept import free_name, now, own_host, own_process
from flows.records.log import BackfillLog
from flows.records.step_result import rows_text
from flows.retention.locks import shards_lock
from flows.steps import shard_steps
from flows.steps.backfill import culprits, share_of, unusable_partitions
from flows.steps.processes import Processes
from flows.steps.work import Work
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.error_report import report_of
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice, transform_fingerprint


class Backfill:
    """A backfill under way.

    It is no dataclass, as Prefect would look for futures in all that is in one.

    Args:
        pipeline: The declaration.
        workspace: Where everything lies.
        partitions: The range, in the order of the source.
        processes: Starts the steps that need a process of their own.
        log: Its record.
    """

    def __init__(
        self,
        pipeline: PipelineSpec,
        workspace: Workspace,
        partitions: tuple[Partition, ...],
        processes: Processes,
        log: BackfillLog,
    ) -> None:
        self.pipeline = pipeline
        self.workspace = workspace
        self.partitions = partitions
        self.processes = processes
        self.log = log
        with log.recording():
            pass  # it is there before it does anything

    @property
    def title(self) -> str:
        """The pipeline, for the names of tasks."""
        return self.pipeline.name

    @property
    def transform(self) -> str:
        """The fingerprint of the transform, which is known once it is frozen."""
        if self.log.record.transform is None:
            raise ValueError("a transform is frozen before partitions are transformed")
        return self.log.record.transform

    def pending(self) -> tuple[Partition, ...]:
        """Returns the partitions that are neither committed nor failed."""
        names = set(self.log.record.pending())
        return tuple(part for part in self.partitions if part.name in names)

    def work_on(self, partitions: Sequence[Partition]) -> Work:
        """Returns the work on some partitions under the backfill's transform."""
        choice = TransformChoice(self.transform)
        return Work(self.pipeline, self.workspace, self.log.folder, choice, tuple(partitions))

    def put(self, changed: PartitionRecord) -> None:
        """Records what became of a partition; several threads may do so at once."""
        with self.log.recording() as record:
            record.put(changed)

    def fail(self, partition: Partition, error: Exception) -> None:
        """Records and tells that a partition failed."""
        report = report_of(error, "this partition")
        record = self.log.record.partition(partition.name)
        self.put(record.model_copy(update={"status": "failed", "error": report}))
        self.log.reporter.failed(partition.name, report.headline())

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keeps other pipelines' runs from writing the same shards while the block runs."""
        reporter = self.log.reporter
        lock = shards_lock(
            self.workspace,
            self.transform,
            self.pending(),
            reporter,
            on_lost=self.processes.stopping.set,
        )
        with lock as hold, self.processes.holding_shards(hold):
            yield


class PartitionOfBackfill:
    """One partition to transform.

    Args:
        backfill: What it is part of.
        partition: The partition.
        shown: Where its progress is shown, beside the others'.
    """

    def __init__(self, backfill: Backfill, partition: Partition, shown: Steps) -> None:
        self.backfill = backfill
        self.partition = partition
        self.shown = shown

    @property
    def title(self) -> str:
        """The pipeline and the partition, for the name of the task."""
        return f"{self.backfill.title}, {self.partition.name}"


def open_record(
    pipeline: PipelineSpec,
    workspace: Workspace,
    partitions: Sequence[Partition],
    *,
    workers: int,
    train: Training,
) -> BackfillRecord:
    """Returns the record of a new backfill, which knows what earlier ones committed."""
    kept = workspace.newest_transform(pipeline.data_fingerprint())
    transform = None if kept is None else kept.fingerprint
    parts = [part.id for part in partitions]
    manifests = {} if transform is None else workspace.read_all_shards(transform, parts)
    started = now()
    return BackfillRecord(
        backfill_id=free_name(workspace.backfills(pipeline.name), f"{started:%Y%m%dT%H%M%SZ}"),
        pipeline=pipeline.name,
        pid=own_process(),
        host=own_host(),
        started=started,
        workers=workers,
        train=train,
        transform=transform,
        partitions=[_at_first(partition, manifests.get(partition.id)) for partition in partitions],
    )


def _at_first(partition: Partition, manifest: ShardManifest | None) -> PartitionRecord:
    record = PartitionRecord(name=partition.name, fingerprint=partition.fingerprint)
    if manifest is None:
        return record
    changes = {"status": "skipped", "note": "its shards are committed and its files the same"}
    return record.model_copy(update=changes | _counts(manifest))


def check_partitions(backfill: Backfill) -> None:
    """Holds the declaration against the files of pending partitions, and looks for shared keys."""
    for partition, error in unusable_partitions(backfill.pipeline, backfill.pending()):
        backfill.fail(partition, error)


def freeze(backfill: Backfill) -> None:
    """Freezes one transform for all partitions, unless one of this declaration is frozen already.

    A partition whose files turn out to be unreadable is left out of the statistics, and failed.
    """
    log = backfill.log
    if log.record.transform is not None:
        why = f"keeps transform {backfill.transform} of the same features and targets"
        log.reporter.skipped("analyze", why)
        return
    while log.record.transform is None and backfill.pending():
        pending = backfill.pending()
        log.record.transform = transform_fingerprint(backfill.pipeline, pending)
        try:
            with backfill.holding():
                frozen = shard_steps.analyze(backfill.work_on(pending), backfill.processes)
                tell = log.reporter.skipped if frozen.was_idle else log.reporter.done
                tell("analyze", frozen.text)
        except BraidError as error:
            log.record.transform = None
            unreadable = culprits(error, pending)
            if not unreadable:
                raise
            for partition in unreadable:
                backfill.fail(partition, error)
    with log.recording():
        pass


def transform_partition(part: PartitionOfBackfill) -> None:
    """Writes and commits one partition's shards; records how that went.

    Raises:
        BraidError: The partition cannot be transformed.
    """
    backfill, partition, log = part.backfill, part.partition, part.backfill.log
    refuse_stopped(backfill.processes.stopping, partition.name)
    share = share_of(
        backfill.pipeline, workers=log.record.workers, partitions=len(backfill.partitions)
    )
    work = replace(backfill.work_on([partition]), pipeline=share)
    try:
        processes = backfill.processes.of_partition(partition.name, part.shown)
        done = shard_steps.transform(work, processes)
    except StepStopped:
        raise
    except Exception as error:
        backfill.fail(partition, error)
        raise
    manifest = work.manifest(partition)
    if manifest is None or done.record is None:
        raise FileNotFoundError(partition.name)
    record = log.record.partition(partition.name)
    changes = {"status": "done", "seconds": done.record.seconds, "error": None}
    backfill.put(record.model_copy(update=changes | _counts(manifest)))
    note = f"{manifest.rejected():,} rejected"
    step = done.record.model_copy(update={"note": note})
    log.reporter.done(partition.name, rows_text(step))
    for line in done.details:
        log.reporter.detail(line)


def _counts(manifest: ShardManifest) -> dict[str, int]:
    return {"rows": manifest.rows, "rejected": manifest.rejected()}
