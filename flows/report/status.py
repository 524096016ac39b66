"""What `braid status` shows: the state of every partition, and what a run would do and why.

Names, manifests and what was measured tell all of it; no row is read and nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from rich.table import Table

from flows.console import harmless
from flows.console.wording import counted
from flows.records.record import RunRecord, read_records
from flows.records.run_identity import (
    OpenedRun,
    identity_of,
    is_going_on,
    pending_partitions,
    run_to_resume,
    up_to_date_run,
)
from flows.retention.leftovers import partitions_of_runs
from flows.steps.drift import drift_in_words, why_kept
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.training import PartitionChoice
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import (
    TransformChoice,
    Undecided,
    choose_transform,
)
from transforms.source.partitions import choose
from transforms.source.scan import scan
from transforms.source.windows import windows_partition

State = Literal["new", "changed", "committed", "rejected above budget", "gone from the source"]

_STYLES: dict[State, str] = {
    "new": "cyan",
    "changed": "yellow",
    "committed": "green",
    "rejected above budget": "red",
    "gone from the source": "dim",
}


@dataclass(frozen=True)
class PartitionStatus:
    """What is known of one partition.

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


@dataclass(frozen=True)
class PipelineStatus:
    """The state of a pipeline.

    Attributes:
        partitions: In the order of the source; what is gone from it comes last.
        lines: What is there beside the partitions, and what a run would do and why.
    """

    partitions: tuple[PartitionStatus, ...]
    lines: tuple[str, ...]


def status_of(pipeline: PipelineSpec, workspace: Workspace) -> PipelineStatus:
    """Compares the source with what is committed.

    Raises:
        BraidError: The source cannot be listed, or `training.partitions` chooses nothing of it.
    """
    partitions = scan(pipeline.source).partitions
    lines = []
    if pipeline.source.windows is not None:
        partitions = (windows_partition(pipeline, partitions),)
        lines.append(_windows(workspace, partitions[0]))
    records = [record for _, record in read_records(workspace, pipeline.name)]
    choice = choose_transform(pipeline, partitions, workspace)
    found = _states(pipeline, workspace, partitions, records, choice)
    lines += [
        f"Run {record.run_id} is under way."
        for record in records
        if record.status == "running" and is_going_on(workspace, record)
    ]
    plan = Plan(pipeline, workspace, partitions, found)
    lines.append(plan.undecided(choice) if isinstance(choice, Undecided) else plan.of(choice))
    return PipelineStatus(found, tuple(lines))


def status_table(status: PipelineStatus, *, every: bool = False) -> Table:
    """Returns the partitions with their states.

    Args:
        status: What to show.
        every: Whether neighbours that share their state have a line each.
    """
    table = Table(box=None)
    for name in ("partition", "state", "rows", "rejected"):
        numeric = name in ("rows", "rejected")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for state, neighbours in groupby(status.partitions, key=lambda part: part.state):
        group = list(neighbours)
        for shown in [[part] for part in group] if every else [group]:
            names = [part.name for part in shown]
            span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)})"
            rows = _sum([part.rows for part in shown])
            rejected = _sum([part.rejected for part in shown])
            table.add_row(harmless.console(span), f"[{_STYLES[state]}]{state}[/]", rows, rejected)
    return table


def _sum(counts: Sequence[int | None]) -> str:
    known = [count for count in counts if count is not None]
    return f"{sum(known):,}" if known else "-"


def _states(
    pipeline: PipelineSpec,
    workspace: Workspace,
    partitions: Sequence[Partition],
    records: Sequence[RunRecord],
    choice: TransformChoice | Undecided,
) -> tuple[PartitionStatus, ...]:
    """Returns every partition's state under the transform that is committed."""
    transform = _committed_transform(pipeline, workspace, choice)
    if transform is None:
        return tuple(PartitionStatus(part.name, "new") for part in partitions)
    earlier = {
        name: fingerprint
        for name, fingerprint in sorted(partitions_of_runs(records, transform))
        if workspace.is_committed(transform, name, fingerprint)
    }
    budget = pipeline.transform.max_reject_fraction
    found = []
    for part in partitions:
        manifest = workspace.read_shards(transform, part.name, part.fingerprint)
        if manifest is not None:
            found.append(_committed(part.name, manifest, budget))
        else:
            found.append(PartitionStatus(part.name, "changed" if part.name in earlier else "new"))
    gone = sorted(set(earlier) - {part.name for part in partitions})
    for name in gone:
        manifest = workspace.read_shards(transform, name, earlier[name])
        rows = (manifest.rows, manifest.rejected()) if manifest else (None, None)
        found.append(PartitionStatus(name, "gone from the source", *rows))
    return tuple(found)


def _committed_transform(
    pipeline: PipelineSpec, workspace: Workspace, choice: TransformChoice | Undecided
) -> str | None:
    """Returns the transform that a run would use, or else the newest that it would replace."""
    if isinstance(choice, Undecided):
        return choice.newest
    if workspace.read_transform(choice.name) is not None:
        return choice.name
    newest = workspace.newest_transform(pipeline.data_fingerprint())
    return None if newest is None else newest.fingerprint


def _committed(name: str, manifest: ShardManifest, budget: float) -> PartitionStatus:
    above = manifest.rejected() > budget * manifest.rows
    state: State = "rejected above budget" if above else "committed"
    return PartitionStatus(name, state, manifest.rows, manifest.rejected())


def _windows(workspace: Workspace, partition: Partition) -> str:
    # Here, as what cuts windows takes longer to load than all else of the command.
    from flows.steps.windows import windows_text
    from transforms.reading.cutting import committed_windows

    cut = committed_windows(workspace, partition)
    if cut is None:
        return f"Windows are yet to be cut from {counted(len(partition.files), 'file')}."
    return f"{windows_text(cut[1])}."


@dataclass(frozen=True)
class Plan:
    """What a run would do, put into sentences.

    Attributes:
        pipeline: The declaration.
        workspace: Where everything lies.
        partitions: What the source has.
        states: The state of each, and of what is gone.
    """

    pipeline: PipelineSpec
    workspace: Workspace
    partitions: Sequence[Partition]
    states: Sequence[PartitionStatus]

    def of(self, choice: TransformChoice) -> str:
        """Returns what a run would do and why, in one sentence."""
        pipeline, workspace = self.pipeline, self.workspace
        done = up_to_date_run(workspace, pipeline, choice.name, self.partitions)
        if done is not None:
            return f"A run does nothing: nothing is new since run {done[1].run_id}."
        identity = identity_of(pipeline, choice.name, self.partitions)
        resumed = run_to_resume(read_records(workspace, pipeline.name), identity)
        parts = [
            self._analysis(choice),
            self._shards(choice.name),
            _training(pipeline, self.partitions, resumed),
        ]
        if resumed is not None:
            parts.insert(0, f"goes on with run {resumed.record.run_id}, as {resumed.resumed}")
        return f"A run {'; '.join(parts)}."

    def undecided(self, choice: Undecided) -> str:
        """Returns the same where it depends on what is not measured yet."""
        new = counted(len(choice.new), "new partition")
        return (
            f"A run first measures the drift of {new} (so does --measure); without a refit it "
            f"reuses transform {choice.newest[:4]} and {self._shards(choice.newest)}; "
            f"{_training(self.pipeline, self.partitions, None)}."
        )

    def _analysis(self, choice: TransformChoice) -> str:
        pipeline, short = self.pipeline, choice.name[:4]
        kept = self.workspace.read_transform(choice.name)
        if kept is not None:
            why = why_kept(pipeline, choice.drift, kept, self.partitions)
            return f"reuses transform {short}: {why}"
        if _committed_transform(pipeline, self.workspace, choice) is None:
            return f"computes the first transform of these features and targets, {short}"
        if choice.drift is not None:
            return f"computes transform {short}: {drift_in_words(choice.drift)}"
        why = _counted(self.states, ("new", "changed", "gone from the source"))
        why = why or "the rows are others"
        return f"computes transform {short}: refit is {pipeline.transform.refit}, and {why}"

    def _shards(self, transform: str) -> str:
        total = f"{len(self.partitions):,}"
        pending = {p.name for p in pending_partitions(self.workspace, transform, self.partitions)}
        if not pending:
            return f"transforms nothing, as shards of all {total} are committed"
        if len(pending) == len(self.partitions):
            return f"transforms all of {counted(len(self.partitions), 'partition')}"
        waiting = [state for state in self.states if state.name in pending]
        return f"transforms {_counted(waiting, ('new', 'changed'))} of {total} partitions"


def _counted(states: Sequence[PartitionStatus], wanted: Sequence[State]) -> str:
    counts = Counter(state.state for state in states)
    return ", ".join(f"{counts[state]:,} {state}" for state in wanted if counts[state])


def _training(
    pipeline: PipelineSpec, partitions: Sequence[Partition], resumed: OpenedRun | None
) -> str:
    chosen = choose(partitions, pipeline.training)
    if resumed is not None and resumed.record.step("train") is not None:
        return "keeps the trained model"
    choice = pipeline.training.partitions
    if not isinstance(choice, PartitionChoice):
        return f"trains on all of {counted(len(chosen), 'partition')}"
    return f"trains on {choice.in_words()}: {chosen[0].name} to {chosen[-1].name} ({len(chosen):,})"
