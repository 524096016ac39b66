"""The steps of a backfill, as plain functions: which partitions, one transform, each on its own.

A partition that fails does not stop the others; what is committed is never done again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from flows.process.child import StepStopped, refuse_stopped
from flows.records.backfill_record import BackfillRecord, PartitionRecord, Training
from flows.records.record import now, own_host, own_process
from flows.sessions.backfill_session import Backfill, PartitionWork
from flows.sessions.session import Stopwatch, rows_step, rows_text
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.step import ANALYZE, TRANSFORM
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import transform_fingerprint
from transforms.reading.keys import check_no_shared
from transforms.source.partitions import between
from transforms.source.scan import check_schema, scan

_CHECKING_THREADS = 4


def default_workers() -> int:
    """Returns how many partitions are worked on at once unless the user says so."""
    return max(1, (os.cpu_count() or 1) // 2)


def partitions_of_source(pipeline: PipelineSpec) -> tuple[Partition, ...]:
    """Lists the source without opening its files.

    Raises:
        DeclarationError: The source is cut into windows.
        BraidError: It cannot be listed.
    """
    if pipeline.source.windows is not None:
        raise DeclarationError(
            "source.windows",
            expected="a table of partitions for a backfill",
            received="windows, which are cut from the whole table",
            action="Use `braid run`, which cuts and transforms them all.",
        )
    return scan(pipeline.source).partitions


def partitions_between(
    everything: Sequence[Partition], first: str | None, last: str | None
) -> tuple[Partition, ...]:
    """Returns the partitions of a range.

    Args:
        everything: All partitions of the source.
        first: The lowest value of the range; None begins with the source's first.
        last: The highest value, which belongs to the range; a month or a day to its end.

    Raises:
        DeclarationError: There are none.
        BraidError: A bound does not compare with the partitions.
    """
    values = {part.name: part.value for part in everything}  # a bound may be a whole name
    first, last = (values.get(bound) or bound if bound else None for bound in (first, last))
    chosen = between(everything, first, last, place="--from and --to")
    if not chosen:
        raise DeclarationError(
            "--from and --to",
            expected=f"partitions of the source, which are {everything[0].name} to "
            f"{everything[-1].name}",
            received=f"{first or 'the first'} to {last or 'the last'}, where there is none",
            action="Name the first one before the last one, or leave a bound out.",
        )
    return chosen


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
    started = now()
    return BackfillRecord(
        backfill_id=_free_name(workspace, pipeline.name, f"{started:%Y%m%dT%H%M%SZ}"),
        pipeline=pipeline.name,
        pid=own_process(),
        host=own_host(),
        started=started,
        workers=workers,
        train=train,
        transform=transform,
        partitions=[_known(workspace, transform, partition) for partition in partitions],
    )


def _free_name(workspace: Workspace, pipeline: str, name: str) -> str:
    """Returns the name, or one that sorts after it: two short backfills may start in a second."""
    taken, number = name, 1
    while (workspace.backfills(pipeline) / taken).exists():
        number += 1
        taken = f"{name}-{number}"
    return taken


def _known(workspace: Workspace, transform: str | None, partition: Partition) -> PartitionRecord:
    record = PartitionRecord(name=partition.name, fingerprint=partition.fingerprint)
    manifest = _manifest(workspace, transform, partition)
    if manifest is None:
        return record
    changes = {"status": "skipped", "note": "its shards are committed and its files the same"}
    return record.model_copy(update=changes | _counts(manifest))


def check_partitions(backfill: Backfill) -> None:
    """Holds the declaration against the files of pending partitions, and looks for shared keys."""

    def problem(partition: Partition) -> BraidError | None:
        try:
            check_schema(backfill.pipeline, partition.files)
            check_no_shared(backfill.pipeline, [partition])
        except BraidError as error:
            return error
        return None

    pending = backfill.pending()
    with ThreadPoolExecutor(_CHECKING_THREADS) as threads:
        for partition, error in zip(pending, threads.map(problem, pending), strict=True):
            if error is not None:
                backfill.fail(partition, error)


def freeze(backfill: Backfill) -> None:
    """Freezes one transform for all partitions, unless one of this declaration is frozen already.

    A partition whose files turn out to be unreadable is left out of the statistics, and failed.
    """
    if backfill.record.transform is not None:
        backfill.reporter.skipped(
            "analyze", f"keeps transform {backfill.transform} of the same features and targets"
        )
        return
    while backfill.record.transform is None and backfill.pending():
        pending = backfill.pending()
        backfill.record.transform = transform_fingerprint(backfill.pipeline, pending)
        try:
            with backfill.holding():
                _analyze(backfill, pending)
        except BraidError as error:
            backfill.record.transform = None
            culprits = [p for p in pending if error.place in {f.path for f in p.files}]
            if not culprits:
                raise
            for partition in culprits:
                backfill.fail(partition, error)
    backfill.save()


def _analyze(backfill: Backfill, partitions: Sequence[Partition]) -> None:
    if backfill.workspace.read_transform(backfill.transform) is not None:
        return  # another pipeline with the same features did it while this one waited
    watch = Stopwatch()
    job = _job(backfill, partitions, backfill.pipeline)
    with backfill.reporter.step("analyze") as view:
        result = backfill.run_child(ANALYZE, "analyze", job, view.update)
    note = f"{len(partitions)} partitions, training rows only"
    backfill.reporter.done("analyze", rows_text(rows_step("analyze", watch, result, note)))


def transform_partition(work: PartitionWork) -> None:
    """Writes and commits one partition's shards; records how that went.

    Raises:
        BraidError: The partition cannot be transformed.
    """
    backfill, partition = work.backfill, work.partition
    refuse_stopped(backfill.stopping, partition.name)
    watch = Stopwatch()
    job = _job(backfill, [partition], _shared_out(backfill))
    name = partition.name.replace("/", ",")
    try:
        with work.steps.step(partition.name) as view:
            result = backfill.run_child(TRANSFORM, name, job, view.update)
    except StepStopped:
        raise
    except Exception as error:
        backfill.fail(partition, error)
        raise
    manifest = _manifest(backfill.workspace, backfill.transform, partition)
    if manifest is None:
        raise FileNotFoundError(partition.name)
    step = rows_step(partition.name, watch, result, f"{manifest.rejected():,} rejected")
    changes = {"status": "done", "seconds": step.seconds, "error": None} | _counts(manifest)
    backfill.put(backfill.record.partition(partition.name).model_copy(update=changes))
    backfill.reporter.done(partition.name, rows_text(step))


def committed(backfill: Backfill, partitions: Sequence[Partition]) -> tuple[Partition, ...]:
    """Returns the partitions whose shards are committed under the backfill's transform."""
    return tuple(
        partition
        for partition in partitions
        if _manifest(backfill.workspace, backfill.transform, partition) is not None
    )


def training_sets(
    backfill: Backfill, everything: Sequence[Partition]
) -> list[tuple[Partition, ...]]:
    """Returns the partitions of each training that is due, in order.

    A model learns from all that is committed and still in the source. With `each`, the model after
    a partition has not seen the later ones of the range.
    """
    if backfill.record.train == "none":
        return []
    found = committed(backfill, everything)
    if backfill.record.train == "once":
        return [found]
    names = [partition.name for partition in backfill.partitions]
    return [
        tuple(part for part in found if part.name not in names[index + 1 :])
        for index in range(len(names))
    ]


def _job(
    backfill: Backfill, partitions: Sequence[Partition], pipeline: PipelineSpec
) -> TransformJob:
    return TransformJob(
        pipeline=pipeline,
        workspace=str(backfill.workspace.root),
        transform=backfill.transform,
        partitions=tuple(partitions),
    )


def _shared_out(backfill: Backfill) -> PipelineSpec:
    """Returns the declaration with one partition's share of the cores and of the shards."""
    pipeline, record = backfill.pipeline, backfill.record
    beam = pipeline.beam
    if beam.runner == "DirectRunner" and "direct_num_workers" not in beam.options:
        cores = max(1, (os.cpu_count() or 1) // record.workers)
        beam = beam.model_copy(update={"options": beam.options | {"direct_num_workers": cores}})
    shards = -(-pipeline.transform.min_shards // len(backfill.partitions))
    transform = pipeline.transform.model_copy(update={"min_shards": shards})
    return pipeline.model_copy(update={"beam": beam, "transform": transform})


def _manifest(
    workspace: Workspace, transform: str | None, partition: Partition
) -> ShardManifest | None:
    if transform is None:
        return None
    return workspace.read_shards(transform, partition.name, partition.fingerprint)


def _counts(manifest: ShardManifest) -> dict[str, int]:
    return {"rows": manifest.rows, "rejected": manifest.rejected()}
