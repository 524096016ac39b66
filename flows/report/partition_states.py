"""The states of a source's partitions under the transform that is committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flows.records.plan import RunPlan
from flows.records.record import RunRecord
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest

State = Literal["new", "changed", "committed", "rejected above budget", "gone from the source"]


@dataclass(frozen=True)
class PartitionStatus:
    """The state of one partition, as far as it is known.

    Attributes:
        name: The partition's name.
        state: "changed" if other files of it are committed than those that are there now.
        rows: Its source rows, if they were read.
        rejected: How many of them cannot be used.
    """

    name: str
    state: State
    rows: int | None = None
    rejected: int | None = None


def states_of(
    plan: RunPlan, workspace: Workspace, records: Sequence[RunRecord]
) -> tuple[PartitionStatus, ...]:
    """Returns every partition's state; what is gone from the source comes last.

    Args:
        plan: What a run would do.
        workspace: Where everything lies.
        records: The pipeline's runs.
    """
    partitions, transform = plan.partitions, plan.committed
    if transform is None:
        return tuple(PartitionStatus(part.name, "new") for part in partitions)
    seen = {part for r in records if r.transform == transform for part in r.ever_seen()}
    wanted = seen.union(part.id for part in partitions)
    manifests = dict(plan.manifests) if transform == plan.transform else {}
    if manifests:  # that of every present partition, if there is one
        wanted = seen.difference(part.id for part in partitions)
    if wanted:
        manifests |= workspace.read_all_shards(transform, wanted)
    earlier = {part.name: part for part in sorted(seen) if part in manifests}
    gone = sorted(set(earlier) - {part.name for part in partitions})
    budget = plan.pipeline.transform.max_reject_fraction
    states = []
    for part in partitions:
        manifest = manifests.get(part.id)
        if manifest is not None:
            states.append(_committed(part.name, manifest, budget))
        else:
            states.append(PartitionStatus(part.name, "changed" if part.name in earlier else "new"))
    for name in gone:
        manifest = manifests[earlier[name]]
        rows = (manifest.rows, manifest.rejected())
        states.append(PartitionStatus(name, "gone from the source", *rows))
    return tuple(states)


def _committed(name: str, manifest: ShardManifest, budget: float) -> PartitionStatus:
    above = manifest.rejected() > budget * manifest.rows
    state: State = "rejected above budget" if above else "committed"
    return PartitionStatus(name, state, manifest.rows, manifest.rejected())
