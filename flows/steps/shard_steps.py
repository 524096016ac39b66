"""The steps of a run up to the committed shards: functions of its work to what they did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from flows.console.progress import Reporter
from flows.console.wording import counted
from flows.records.record import StepRecord
from flows.records.run_identity import pending_partitions
from flows.records.step_result import StepResult, Stopwatch, idle, on_rows, rows_text
from flows.retention.exclusion import Hold, exclusive
from flows.retention.locks import shards_lock
from flows.retention.needed_shards import Needed
from flows.retention.store_needs import begin_to_need
from flows.retention.sweep import Sweep
from flows.steps.budget import rows_per_split
from flows.steps.drift import why_kept
from flows.steps.processes import Processes
from flows.steps.work import Work, span
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import declaration_of_table
from transforms.contract.steps.step import ANALYZE, EXPECT, TRANSFORM
from transforms.contract.workspace.manifest import (
    RejectCount,
    ReplacedCount,
    ShardManifest,
    total_rejects,
    total_replaced,
)
from transforms.contract.workspace.partition import Partition
from transforms.reading.keys import check_unique
from transforms.reading.sensitive import shown_key
from transforms.source.scan import check_schema, scan
from transforms.source.windows import windows_partition

_MOST_REASONS = 50  # of rejected rows, in a step's log


@dataclass(frozen=True)
class RowCounts:
    """The rows of the partitions that train, as their manifests count them."""

    manifests: tuple[ShardManifest, ...]

    @property
    def rows(self) -> dict[str, int]:
        """Usable rows of every split."""
        return rows_per_split(self.manifests)

    @property
    def source_rows(self) -> int:
        """Rows of the source, unusable ones included and those left out not."""
        return sum(manifest.rows for manifest in self.manifests)

    @property
    def left_out(self) -> int:
        """Rows of the source that `source.where` leaves out."""
        return sum(manifest.left_out for manifest in self.manifests)

    @property
    def rejects(self) -> list[RejectCount]:
        """Rows that could not be used, by column and reason."""
        return total_rejects(self.manifests)

    @property
    def replaced(self) -> list[ReplacedCount]:
        """Values that were replaced by their default, by column and reason."""
        return total_replaced(self.manifests)


def scan_source(pipeline: PipelineSpec) -> tuple[Partition, ...]:
    """Lists the source's partitions and holds the declaration against every file's schema.

    Windows are one partition, and its files are those of the long table until they are cut.
    """
    pipeline.check_user_functions()
    scanned = scan(pipeline.source)
    check_schema(pipeline, scanned.files())
    if pipeline.source.windows is not None:
        return (windows_partition(pipeline, scanned.partitions),)
    return scanned.partitions


def check_source(work: Work) -> StepResult[None]:
    """Looks for keys that two rows share; without a key every row has a name of its own.

    Raises:
        BraidError: Two rows share one.
    """
    watch = Stopwatch()
    table = declaration_of_table(work.pipeline, work.partitions)
    if not table.source.key_columns:
        return idle("check keys", "no source.key: rows are named by file and number", None)
    checked = check_unique(table, work.partitions, work.workspace)
    files = sum(len(partition.files) for partition in work.partitions)
    note = (
        f"{counted(len(work.partitions), 'partition')}, {counted(files, 'file')}, "
        "every key once; "
        f"reads {checked.partitions_read}"
    )
    seconds = round(watch.seconds(), 3)
    record = StepRecord(name="check keys", seconds=seconds, rows=checked.rows, note=note)
    return StepResult("check keys", rows_text(record), None, record)


def expect(work: Work, processes: Processes) -> StepResult[None] | None:
    """Holds partitions against `expect` where no analysis does so, as the transform is kept."""
    if not work.pipeline.expect or work.workspace.read_transform(work.transform) is None:
        return None
    watch = Stopwatch()
    done = processes.run(EXPECT, work.transform_job())
    expected = counted(len(work.partitions), "partition")
    note = f"{expected} as expected; reads {done.result.partitions}"
    return on_rows("expect", watch, done, note)


def analyze(work: Work, processes: Processes) -> StepResult[None]:
    """Freezes the transform's statistics, unless they are committed already."""
    kept = work.workspace.read_transform(work.transform)
    if kept is not None:
        why = why_kept(work.pipeline, work.choice.drift, kept, work.partitions)
        return idle("analyze", f"transform {work.transform} is committed: {why}", None)
    watch = Stopwatch()
    done = processes.run(ANALYZE, work.transform_job())
    read, parts = done.result.partitions, len(work.partitions)
    note = f"training rows only; reads {read} of {parts} partitions"
    if done.result.logs:
        note += f"; {', '.join(done.result.logs)} on a log scale"
    if work.pipeline.expect:
        note += "; each as expected"
    return on_rows("analyze", watch, done, note)


def transform(work: Work, processes: Processes) -> StepResult[None]:
    """Writes the shards of every partition that is not committed yet."""
    pending = pending_partitions(work.workspace, work.transform, work.partitions)
    total = len(work.partitions)
    note = f"reuses {total - len(pending)} of {total} partitions"
    if not pending:
        return idle("transform", note, None)
    watch = Stopwatch()
    done = processes.run(TRANSFORM, work.transform_job(pending))
    manifests = work.manifests(pending)
    written = sum(shard.bytes for manifest in manifests for shard in manifest.shards)
    transformed = on_rows("transform", watch, done, note, written_bytes=written)
    return replace(transformed, details=rejects_in_words(total_rejects(manifests)))


def count_rows(work: Work) -> StepResult[RowCounts]:
    """Counts what the shards hold that train."""
    manifests = work.manifests(work.trained)
    counts = RowCounts(tuple(_with_shown_keys(work.pipeline, each) for each in manifests))
    rejected = sum(reject.rows for reject in counts.rejects)
    share = rejected / max(counts.source_rows, 1)
    text = ", ".join(f"{rows:,} {split}" for split, rows in counts.rows.items())
    if len(work.trained) < len(work.partitions):
        text += f" · of {span(work.trained)}, which train"
    text += f" · {rejected:,} rejected ({share:.1%}), kept with their reason"
    if counts.left_out:
        text += f" · {counts.left_out:,} left out by source.where"
    return StepResult("rows", text, counts, details=rejects_in_words(counts.rejects))


def rejects_in_words(rejects: Sequence[RejectCount]) -> tuple[str, ...]:
    """Returns a line for each reason that costs rows, the most frequent first."""
    lines = [f"{counted(r.rows, 'row')} rejected by {r.column}: {r.reason}" for r in rejects]
    more = len(lines) - _MOST_REASONS
    rest = [f"and {counted(more, 'more reason')}: `braid rejects` has all"] if more > 0 else []
    return (*lines[:_MOST_REASONS], *rest)


def _with_shown_keys(pipeline: PipelineSpec, manifest: ShardManifest) -> ShardManifest:
    """Returns a manifest whose examples show no key that is declared sensitive since."""
    rejects = (
        each.model_copy(update={"example_key": shown_key(pipeline, each.example_key)})
        for each in manifest.rejects
    )
    return manifest.model_copy(update={"rejects": tuple(rejects)})


def keep_shards(work: Work, reporter: Reporter) -> None:
    """Lets no other workspace remove shards that are committed."""
    also = Needed().and_by(work.transform, [part.id for part in work.partitions])
    begin_to_need(work.workspace, also, reporter)


@contextmanager
def transform_lock(work: Work, processes: Processes) -> Iterator[None]:
    """Keeps other pipelines' runs from writing the same shards; cleans up after killed ones.

    Shards are named by their content, so two pipelines with the same features write the same
    files. The second one waits, and then finds them committed. When all shards are there, those
    go that were made of files which the source no longer has, and what older transforms left.
    """
    workspace, transform, reporter = work.workspace, work.transform, processes.reporter
    lock = shards_lock(
        workspace,
        transform,
        work.partitions,
        reporter,
        base=work.choice.base,
        on_lost=processes.stopping.set,
    )
    with lock as held, processes.holding_shards(held):
        if held is None:
            with suppress(BraidError), exclusive(workspace, "transform", transform) as hold:
                _remove_unneeded(work, reporter, hold)
        yield
        if held is not None:
            _remove_unneeded(work, reporter, held)


def _remove_unneeded(work: Work, reporter: Reporter, hold: Hold) -> None:
    present = [part.id for part in work.partitions]
    swept = Sweep(work.workspace, work.pipeline, work.transform, present, hold).run()
    if swept.transforms:
        reporter.note(f"  removed {counted(swept.transforms, 'older transform')}, with shards")
    for note in swept.kept_for:
        reporter.note(
            f"  kept older transforms that another workspace noted to need in {note}: remove that "
            "file if the workspace is gone for good"
        )
    removed = swept.partitions
    if removed:
        names = ", ".join(removed[:3]) + (" ..." if len(removed) > 3 else "")
        reporter.note(
            f"  removed the shards of {counted(len(removed), 'partition')} that changed or are "
            f"gone from the source: {names}"
        )
