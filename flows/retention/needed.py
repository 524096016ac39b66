"""The needed part of a workspace: transforms and partitions that runs work with, or go on with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from flows.records.backfill_record import BackfillRecord, read_backfills
from flows.records.record import FINISHED, RunRecord, pipelines, read_records, read_tunings
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import PartitionId


@dataclass(frozen=True)
class Needed:
    """The part of a workspace that must stay.

    Attributes:
        transforms: By their fingerprints.
        shards: Partitions under a transform.
    """

    transforms: frozenset[str] = frozenset()
    shards: frozenset[tuple[str, PartitionId]] = frozenset()

    def and_by(self, transform: str, partitions: Collection[PartitionId]) -> Needed:
        """Returns the same with what work on some partitions needs."""
        shards = {(transform, partition) for partition in partitions}
        return Needed(self.transforms | {transform}, self.shards | shards)

    def partitions(self) -> set[PartitionId]:
        """Returns the needed partitions, whatever their transform is."""
        return {partition for _, partition in self.shards}


def needed(workspace: Workspace, asking: str | None = None) -> Needed:
    """Returns what the runs, backfills and tunings of a workspace need.

    Of a pipeline that is its newest run, the newest one that ended with a model, and the newest
    backfill and tuning; of the pipeline that asks, its newest run alone: it holds the pipeline's
    lock, and what it worked with before is what it is about to replace.

    Args:
        workspace: Where everything lies.
        asking: The name of the pipeline that asks.
    """
    known = Needed()
    for pipeline in pipelines(workspace):
        records = [record for _, record in read_records(workspace, pipeline)]
        if pipeline == asking:
            known = _by_runs(known, records[-1:])
            continue
        tunings = [record for _, record in read_tunings(workspace, pipeline)]
        known = _by_runs(known, (*_newest(records), *tunings[-1:]))
        backfills = [record for _, record in read_backfills(workspace, pipeline)]
        known = _by_backfills(known, backfills[-1:])
    return known


def past_partitions(workspace: Workspace, pipeline: str) -> Iterator[tuple[str, PartitionId]]:
    """Yields all that runs and tunings of a pipeline found in their source, with the transform."""
    for _, record in (*read_records(workspace, pipeline), *read_tunings(workspace, pipeline)):
        for partition in record.ever_seen():
            yield record.transform, partition


def _newest(records: list[RunRecord]) -> Iterable[RunRecord]:
    """Returns a pipeline's newest run, and the newest one that ended with a model."""
    finished = [record for record in records if record.status in FINISHED]
    return (*records[-1:], *finished[-1:])


def _by_runs(needed: Needed, records: Iterable[RunRecord]) -> Needed:
    for record in records:
        needed = needed.and_by(record.transform, record.partition_ids())
    return needed


def _by_backfills(needed: Needed, records: Iterable[BackfillRecord]) -> Needed:
    for record in records:
        if record.transform is not None:
            needed = needed.and_by(record.transform, [part.id for part in record.partitions])
    return needed
