"""The choice of a run's transform where the drift of new partitions decides, and that in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.console.progress import Reporter
from flows.console.wording import counted
from flows.process.child import run_child
from flows.records.plan import DecidedPlan, plan_run
from flows.records.step_names import MEASURE_DRIFT
from flows.records.step_result import StepResult, Stopwatch, on_rows
from flows.retention.needed_shards import Needed
from flows.retention.store_needs import begin_to_need
from flows.steps.work import search_path
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.step import MEASURE
from transforms.contract.workspace.drift import JudgedDrift
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import TransformManifest
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import Undecided
from transforms.source.scan import check_schema, scan


@dataclass(frozen=True)
class Measurement:
    """New partitions to hold against those that a transform was frozen on.

    Attributes:
        pipeline: The declaration.
        workspace: Where everything lies.
        open: What is not decided.
        reporter: Who is told about progress.
        search_path: Where a user's own functions are imported from, if the declaration names any.
        inherit: Descriptors of held locks, for the step to inherit.
    """

    pipeline: PipelineSpec
    workspace: Workspace
    open: Undecided
    reporter: Reporter
    search_path: Path | None = None
    inherit: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """The pipeline, for the name of the task."""
        return self.pipeline.name


def measure_drift(work: Measurement) -> StepResult[None]:
    """Counts the new partitions that are not counted yet, and writes how far they are."""
    watch = Stopwatch()
    begin_to_need(work.workspace, Needed(frozenset({work.open.newest})), work.reporter)
    job = TransformJob(
        pipeline=work.pipeline,
        workspace=str(work.workspace.root),
        transform=work.open.newest,
        partitions=work.open.new,
    )
    names = {part.name: part.fingerprint for part in work.open.new}
    path = work.workspace.drift(work.open.newest, names)
    job_path = path.with_suffix(".job.json")
    write_atomic(job_path, job.model_dump_json(indent=2))
    with work.reporter.step(MEASURE_DRIFT) as view:
        done = run_child(
            MEASURE,
            job_path,
            log=path.with_suffix(".log"),
            on_progress=view.update,
            inherit=work.inherit,
            search_path=work.search_path,
        )
    of_all = counted(len(names), "new partition")
    note = f"training rows only; reads {done.result.partitions} of {of_all}"
    result = on_rows(MEASURE_DRIFT, watch, done, note)
    # Told here, as no run is open yet whose record would tell it.
    work.reporter.done(MEASURE_DRIFT, result.text)
    return result


def decide(
    pipeline: PipelineSpec,
    partitions: Sequence[Partition],
    workspace: Workspace,
    measure: Callable[[Undecided], StepResult[None]],
    *,
    retrain: bool = False,
) -> tuple[DecidedPlan, StepResult[None] | None]:
    """Returns what a run does, and the step that measured what decides on its transform, if any.

    Args:
        pipeline: The declaration.
        partitions: What the source has.
        workspace: Where everything lies.
        measure: Measures what is not decided.
        retrain: Train a new model even if nothing is new.
    """
    measured = None
    plan = plan_run(pipeline, partitions, workspace, retrain=retrain)
    # Again, if another pipeline with the same features commits a newer transform meanwhile.
    while isinstance(plan.choice, Undecided):
        measured = measure(plan.choice)
        plan = plan_run(pipeline, partitions, workspace, retrain=retrain)
    return plan.decided(), measured


def drift_in_words(drift: JudgedDrift) -> str:
    """Returns what was decided and why, in a few words."""
    ranked = drift.ranked()
    if not ranked:
        return "no refit, as no statistics of the new partitions can be compared"
    name, worst = ranked[0]
    if not worst.exceeded:
        return f"no refit, drift {worst.distance:.2f} ({name}) below {worst.threshold:g}"
    others = len(drift.exceeded()) - 1
    more = f", and of {others} more" if others else ""
    return f"refit, drift {worst.distance:.2f} of {name} above {worst.threshold:g}{more}"


def why_kept(
    pipeline: PipelineSpec,
    drift: JudgedDrift | None,
    kept: TransformManifest,
    partitions: Sequence[Partition],
) -> str:
    """Returns why a run uses a transform that is committed already."""
    if kept.partitions == {part.name: part.fingerprint for part in partitions}:
        return "same rows, same features and targets"
    if drift is not None:
        return drift_in_words(drift)
    if pipeline.transform.refit == "when_drifted":
        return "no partition is new to it"
    return f"refit is {pipeline.transform.refit}"


def measure_ahead(
    pipeline: PipelineSpec, workspace: Workspace, declaration: Path, reporter: Reporter
) -> None:
    """Measures what a run would have to measure before all else, so that it has it for nothing."""
    scanned = scan(pipeline.source)
    check_schema(pipeline, scanned.files())
    modules = search_path(pipeline, declaration)

    def measure(undecided: Undecided) -> StepResult[None]:
        return measure_drift(Measurement(pipeline, workspace, undecided, reporter, modules))

    _, measured = decide(pipeline, scanned.partitions, workspace, measure)
    if measured is None:
        reporter.skipped(MEASURE_DRIFT, "nothing is to be measured")
