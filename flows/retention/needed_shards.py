"""The needed part of a workspace: transforms and partitions that runs work with, or go on with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

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

    def and_all(self, other: Needed) -> Needed:
        """Returns the same with what another one needs."""
        return Needed(self.transforms | other.transforms, self.shards | other.shards)

    def partitions(self) -> set[PartitionId]:
        """Returns the needed partitions, whatever their transform is."""
        return {partition for _, partition in self.shards}


def union(parts: Iterable[Needed]) -> Needed:
    """Returns what any of several needs."""
    return reduce(Needed.and_all, parts, Needed())


def needed(workspace: Workspace, asking: str | None = None) -> Needed:
    """Returns what the runs, backfills and tunings of a workspace need.

    Of a pipeline that is its newest run, those that go on or may be resumed, the newest one that
    ended with a model, and the newest backfill and tuning. Of the pipeline that asks it is its
    newest run and those that may be resumed: it holds the pipeline's lock, and what else it worked
    with before is what it is about to replace.

    Args:
        workspace: Where everything lies.
        asking: The name of the pipeline that asks.
    """
    known = Needed()
    for pipeline in pipelines(workspace):
        records = [record for _, record in read_records(workspace, pipeline)]
        if pipeline == asking:
            known = _by_runs(known, _open(records))
            continue
        tunings = [record for _, record in read_tunings(workspace, pipeline)]
        finished = [record for record in records if record.status in FINISHED]
        known = _by_runs(known, (*_open(records), *finished[-1:], *tunings[-1:]))
        backfills = [record for _, record in read_backfills(workspace, pipeline)]
        known = _by_backfills(known, backfills[-1:])
    return known


def past_partitions(workspace: Workspace, pipeline: str) -> Iterator[tuple[str, PartitionId]]:
    """Yields all that a pipeline's runs, tunings and backfills found in their source.

    Each partition is yielded with the transform that it was to be transformed by.
    """
    for _, record in (*read_records(workspace, pipeline), *read_tunings(workspace, pipeline)):
        for partition in record.ever_seen():
            yield record.transform, partition
    for _, backfill in read_backfills(workspace, pipeline):
        if backfill.transform is not None:
            for part in backfill.partitions:
                yield backfill.transform, part.id


def _open(records: list[RunRecord]) -> Iterable[RunRecord]:
    """Returns a pipeline's newest run, and those that go on or may be resumed.

    An older run is gone on with where the declaration and the rows are again what it began with.
    """
    older = [record for record in records[:-1] if record.may_be_resumed()]
    return (*older, *records[-1:])


def _by_runs(needed: Needed, records: Iterable[RunRecord]) -> Needed:
    for record in records:
        needed = needed.and_by(record.transform, record.partition_ids())
    return needed


def _by_backfills(needed: Needed, records: Iterable[BackfillRecord]) -> Needed:
    for record in records:
        if record.transform is not None:
            needed = needed.and_by(record.transform, [part.id for part in record.partitions])
    return needed
