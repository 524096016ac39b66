"""Receipts: what is done of a partition that is being worked on, and by which plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from transforms.contract.spec import Spec
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.documents import DamagedFile, read_json
from transforms.contract.workspace.files import Place, presence, remove, sizes_in
from transforms.contract.workspace.manifest import RejectCount, ReplacedCount, Shard
from transforms.contract.workspace.partition import Partition
from transforms.source.units import WorkUnit


class UnitReceipt(Spec):
    """The record of one unit's work; with it the unit is done, whatever happens later."""

    shards: tuple[Shard, ...]
    rows: int
    left_out: int = 0
    rejects: tuple[RejectCount, ...]
    replaced: tuple[ReplacedCount, ...]


def plan_path(job: TransformJob, partition: Partition) -> Place:
    """Returns the place of the plan by which a partition is cut, beside its receipts."""
    return job.folders().unit(job.transform, *partition.id, "plan")


def folder_of(job: TransformJob, partition: Partition) -> Place:
    """Returns the folder of a partition's shards."""
    return job.folders().shards(job.transform, *partition.id)


def receipt_path(job: TransformJob, partition: Partition, unit: WorkUnit) -> Place:
    """Returns the place of a unit's receipt."""
    return job.folders().unit(job.transform, *partition.id, f"{unit.index:05d}")


def read_receipt(job: TransformJob, partition: Partition, unit: WorkUnit) -> UnitReceipt:
    """Returns a unit's receipt, which is there."""
    return read_json(receipt_path(job, partition, unit), UnitReceipt)


def units_left(
    job: TransformJob, partition: Partition, units: Sequence[WorkUnit]
) -> list[WorkUnit]:
    """Returns the units that no earlier run did, or whose receipts name what is not whole."""
    is_there = presence([plan_path(job, partition)])
    begun = {unit.index for unit in units if is_there(receipt_path(job, partition, unit))}
    sizes = sizes_in(folder_of(job, partition)) if begun else {}
    done = {u.index for u in units if u.index in begun and _is_whole(job, partition, u, sizes)}
    for unit in units:
        if unit.index in begun - done:
            remove(receipt_path(job, partition, unit))
    return [unit for unit in units if unit.index not in done]


def _is_whole(
    job: TransformJob, partition: Partition, unit: WorkUnit, sizes: Mapping[str, int]
) -> bool:
    with suppress(DamagedFile, FileNotFoundError):
        shards = read_receipt(job, partition, unit).shards
        return all(sizes.get(shard.file) == shard.bytes for shard in shards)
    return False
