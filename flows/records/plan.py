"""The plan of a run: the one answer to what it would do, from what is there before it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flows.records.estimates import Estimates, PlannedStep
from flows.records.record import RunRecord, read_records
from flows.records.run_identity import (
    Identity,
    OpenedRun,
    finished_run,
    identity_of,
    pending_partitions,
    run_to_resume,
    steps_to_repeat,
)
from flows.records.step_names import DECIDING, MEASURE_DRIFT, ON_MODEL, WINDOWS, steps_of
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.files import presence
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import ShardManifest, TransformManifest
from transforms.contract.workspace.partition import Partition, PartitionId
from transforms.contract.workspace.transform_choice import (
    TransformChoice,
    Undecided,
    choose_transform,
)
from transforms.reading.cutting import committed_windows
from transforms.source.partitions import choose

RowsOf = Callable[[Partition], int | None]


@dataclass(frozen=True)
class RunPlan:
    """The work of a run over some partitions, before it is begun.

    Attributes:
        pipeline: The declaration.
        partitions: What the source has.
        choice: The transform, or what decides on it first.
        transform: The fingerprint of the transform, or of the newest one where nothing is decided.
        frozen: That transform, if it is committed.
        committed: The fingerprint of that one, or of the newest committed one that it would
            replace; None if there is none.
        pending: The partitions without committed shards of it.
        trained: The partitions that train.
        identity: What makes runs the same; None where nothing is decided.
        finished: The run, with its folder, that leaves nothing to do.
        resumed: The run that this one would go on with, and why.
        steps: What would be done, in order, with its size and what it may take. An evaluation that
            is done is done again also where the champion is another by then, which is not asked.
        manifests: Those of its transform that its steps were estimated by, where there are any.
    """

    pipeline: PipelineSpec
    partitions: tuple[Partition, ...]
    choice: TransformChoice | Undecided
    transform: str
    frozen: TransformManifest | None
    committed: str | None
    pending: tuple[Partition, ...]
    trained: tuple[Partition, ...]
    identity: Identity | None
    finished: tuple[Path, RunRecord] | None
    resumed: OpenedRun | None
    steps: tuple[PlannedStep, ...]
    manifests: Mapping[PartitionId, ShardManifest] = field(default_factory=dict)

    def decided(self) -> DecidedPlan:
        """Returns the plan as one whose transform is chosen."""
        if isinstance(self.choice, Undecided) or self.identity is None:
            raise ValueError("the drift of new partitions is measured before a run begins")
        return DecidedPlan(self.partitions, self.choice, self.identity, self.finished)


@dataclass(frozen=True)
class DecidedPlan:
    """The plan that a run begins with: its transform is chosen.

    Attributes:
        partitions: What the source has.
        choice: The transform.
        identity: What makes runs the same.
        finished: The run, with its folder, that leaves nothing to do.
    """

    partitions: tuple[Partition, ...]
    choice: TransformChoice
    identity: Identity
    finished: tuple[Path, RunRecord] | None


def plan_run(
    pipeline: PipelineSpec,
    partitions: Sequence[Partition],
    workspace: Workspace,
    *,
    choice: TransformChoice | None = None,
    retrain: bool = False,
    rows_of: RowsOf = lambda _: None,
) -> RunPlan:
    """Returns what a run would do. It reads the workspace, and writes nothing.

    Args:
        pipeline: The declaration.
        partitions: What the source has; windows are one partition.
        workspace: Where everything lies.
        choice: The transform, where it is chosen already.
        retrain: Train a new model even if nothing is new.
        rows_of: Returns the rows of a partition that was never read, if its files tell them.

    Raises:
        BraidError: `training.partitions` chooses none of them.
    """
    decided = choice or choose_transform(pipeline, partitions, workspace)
    transform = decided.newest if isinstance(decided, Undecided) else decided.name
    pending = tuple(pending_partitions(workspace, transform, partitions))
    identity, finished, resumed = None, None, None
    records = read_records(workspace, pipeline.name)
    if not isinstance(decided, Undecided):
        identity = identity_of(pipeline, transform, partitions)
        # Also one that does not train is to be transformed: its shards are there when it is to.
        if not pending and not retrain:
            finished = finished_run(records, identity)
        resumed = run_to_resume(records, identity, retrain=retrain)
    frozen = workspace.read_transform(transform)
    newest = frozen or workspace.newest_transform(pipeline.data_fingerprint())
    plan = RunPlan(
        pipeline=pipeline,
        partitions=tuple(partitions),
        choice=decided,
        transform=transform,
        frozen=frozen,
        committed=None if newest is None else newest.fingerprint,
        pending=pending,
        trained=choose(partitions, pipeline.training),
        identity=identity,
        finished=finished,
        resumed=None if finished is not None else resumed,
        steps=(),
    )
    return _with_steps(plan, workspace, [record for _, record in records], rows_of)


def _with_steps(
    plan: RunPlan, workspace: Workspace, records: Sequence[RunRecord], rows_of: RowsOf
) -> RunPlan:
    if plan.finished is not None:
        return plan
    manifests = workspace.read_all_shards(plan.transform, [part.id for part in plan.partitions])
    estimates = Estimates(records, manifests, plan.partitions, rows_of)
    planned = {**_on_table(plan, workspace, estimates), **_on_model(plan, estimates)}
    order = steps_of(plan.pipeline)
    steps = tuple(sorted(planned.values(), key=lambda s: order.index(s.name)))
    return replace(plan, steps=steps, manifests=manifests)


def _on_table(plan: RunPlan, workspace: Workspace, estimates: Estimates) -> dict[str, PlannedStep]:
    pipeline, partitions = plan.pipeline, plan.partitions
    work: dict[str, Sequence[Partition]] = {}
    if isinstance(plan.choice, Undecided):
        work[MEASURE_DRIFT] = plan.choice.new
    if pipeline.source.windows is not None and committed_windows(workspace, partitions[0]) is None:
        work[WINDOWS] = partitions
    key = pipeline.source.key_rows
    if key is not None:
        work["check keys"] = [p for p in partitions if not workspace.keys(key, *p.id).exists()]
    if plan.frozen is None or pipeline.expect:
        declaration = pipeline.data_fingerprint()
        # An analysis judges what it counts; where the transform is kept, a step of its own does.
        files = {part.id: workspace.statistics(declaration, *part.id) for part in partitions}
        is_there = presence(files.values())
        work["analyze" if plan.frozen is None else "expect"] = [
            part for part in partitions if not is_there(files[part.id])
        ]
    if plan.pending:
        work["transform"] = plan.pending
    return {name: estimates.on_rows(name, chosen) for name, chosen in work.items()}


def _on_model(plan: RunPlan, estimates: Estimates) -> dict[str, PlannedStep]:
    done: set[str] = set()
    if plan.resumed is not None and plan.identity is not None:
        repeated = steps_to_repeat(plan.resumed, plan.identity, plan.pipeline)
        done = {step.name for step in plan.resumed.record.steps} - {*repeated, *DECIDING}
    if "train" not in done:
        done = set()
    return {
        name: estimates.on_shards(name, plan.trained)
        if name == "train"
        else estimates.as_before(name)
        for name in ON_MODEL
        if name not in done
    }
