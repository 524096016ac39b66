"""The steps of a run up to the committed shards, as plain functions that Prefect tasks wrap."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flows.console.wording import counted
from flows.records.record import StepRecord
from flows.records.run_identity import pending_partitions
from flows.retention.leftovers import remove_superseded
from flows.retention.locks import shards_lock
from flows.retention.older_transforms import remove_unused
from flows.sessions.session import Session, Stopwatch, rows_step, rows_text, span
from flows.steps.budget import check_budget, rows_per_split
from flows.steps.drift import why_kept
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import declaration_of_table
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.manifest import ShardManifest, total_rejects, total_replaced
from transforms.contract.workspace.partition import Partition
from transforms.reading.keys import check_unique
from transforms.source.scan import check_schema, scan
from transforms.source.windows import windows_partition


def scan_source(pipeline: PipelineSpec) -> tuple[Partition, ...]:
    """Lists the source's partitions and holds the declaration against every file's schema.

    Windows are one partition, and its files are those of the long table until they are cut.
    """
    pipeline.check_user_functions()
    found = scan(pipeline.source)
    check_schema(pipeline, found.files())
    if pipeline.source.windows is not None:
        return (windows_partition(pipeline, found.partitions),)
    return found.partitions


def check_source(session: Session) -> None:
    """Looks for keys that two rows share."""
    watch = Stopwatch()
    table = declaration_of_table(session.pipeline, session.partitions)
    found = check_unique(table, session.partitions, session.workspace)
    files = sum(len(partition.files) for partition in session.partitions)
    note = (
        f"{counted(len(session.partitions), 'partition')}, {counted(files, 'file')}, "
        "every key once; "
        f"reads {found.partitions_read}"
    )
    seconds = round(watch.seconds(), 3)
    step = StepRecord(name="check keys", seconds=seconds, rows=found.rows, note=note)
    session.finish(step, rows_text(step))


def analyze(session: Session) -> None:
    """Freezes the transform's statistics, unless they are committed already."""
    kept = session.workspace.read_transform(session.transform)
    if kept is not None:
        why = why_kept(session.pipeline, session.drift, kept, session.partitions)
        session.skip("analyze", f"transform {session.transform} is committed: {why}")
        return
    watch = Stopwatch()
    result = session.run_child("transforms", "analyze", session.transform_job(session.partitions))
    read, parts = int(result["partitions"]), len(session.partitions)
    note = f"training rows only; reads {read} of {parts} partitions"
    if result["logs"]:
        note += f"; {', '.join(result['logs'])} on a log scale"
    step = rows_step("analyze", watch, result, note)
    session.finish(step, rows_text(step))


def transform(session: Session) -> None:
    """Writes the shards of every partition that is not committed yet."""
    pending = _pending(session)
    total = len(session.partitions)
    note = f"reuses {total - len(pending)} of {total} partitions"
    if not pending:
        session.skip("transform", note)
        return
    watch = Stopwatch()
    result = session.run_child("transforms", "transform", session.transform_job(pending))
    step = rows_step("transform", watch, result, note)
    session.finish(step, rows_text(step))


def count_rows(session: Session) -> None:
    """Records what the shards hold that train, and refuses a run that lost too many rows."""
    manifests = [found for part in session.trained if (found := _manifest(session, part))]
    record = session.record
    record.rows = rows_per_split(manifests)
    record.source_rows = sum(manifest.rows for manifest in manifests)
    record.rejects = total_rejects(manifests)
    record.replaced = total_replaced(manifests)
    session.save()
    share = record.rejected() / max(record.source_rows, 1)
    splits = ", ".join(f"{rows:,} {split}" for split, rows in record.rows.items())
    if len(session.trained) < len(session.partitions):
        splits += f" · of {span(session.trained)}, which train"
    session.reporter.done(
        "rows", f"{splits} · {record.rejected():,} rejected ({share:.1%}), kept with their reason"
    )
    judged = {str(gate.metric).partition("_")[0] for gate in session.pipeline.gates()}
    check_budget(
        manifests, session.pipeline.transform.max_reject_fraction, ("train", *sorted(judged))
    )


def _pending(session: Session) -> list[Partition]:
    return pending_partitions(session.workspace, session.transform, session.partitions)


@contextmanager
def transform_lock(session: Session) -> Iterator[None]:
    """Keeps other pipelines' runs from writing the same shards; cleans up after killed ones.

    Shards are named by their content, so two pipelines with the same features write the same
    files. The second one waits, and then finds them committed. When all shards are there, those
    go that were made of files which the source no longer has, and what older transforms left.
    """
    workspace, transform = session.workspace, session.transform
    lock = shards_lock(workspace, transform, session.partitions, session.reporter)
    with lock as descriptors, session.shard_locks(*descriptors):
        if not descriptors:
            path, holder = workspace.lock("transform", transform), f"transform {transform}"
            with suppress(BraidError), exclusive_lock(path, holder=holder):
                _remove_unneeded(session)
        yield
        if descriptors:
            _remove_unneeded(session)


def _remove_unneeded(session: Session) -> None:
    unused = remove_unused(session.workspace, session.pipeline, session.partitions)
    if unused:
        session.reporter.note(f"  removed {counted(unused, 'older transform')}, with shards")
    removed = remove_superseded(
        session.workspace, session.record.pipeline, session.transform, session.partitions
    )
    if removed:
        names = ", ".join(removed[:3]) + (" ..." if len(removed) > 3 else "")
        session.reporter.note(
            f"  removed the shards of {counted(len(removed), 'partition')} that changed or are "
            f"gone from the source: {names}"
        )


def _manifest(session: Session, partition: Partition) -> ShardManifest | None:
    return session.workspace.read_shards(session.transform, partition.name, partition.fingerprint)
