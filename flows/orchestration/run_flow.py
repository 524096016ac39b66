"""The Prefect flow: the steps of a run as tasks, in order. Locations pass between them, not data.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect import Task, flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run

from flows.console.failures import stop_of
from flows.console.harmless import plain
from flows.console.progress import Reporter, console
from flows.orchestration.dispatch import GpuPool
from flows.orchestration.overlap import ending_others, step_beside, trains_early
from flows.orchestration.restarts import pipeline_lock, refuse_endless_restarts
from flows.process.child import StepDied
from flows.records.record import StepRecord, now, write_record
from flows.records.run_identity import (
    CHECKPOINT_FOLDER,
    OpenedRun,
    identity_of,
    open_run,
    up_to_date_run,
)
from flows.report.summary import PICTURE_FILE, SUMMARY_FILE, write_report
from flows.sessions.session import Session, search_path, span, title_of
from flows.steps import drift, model_steps, shard_steps, windows
from flows.steps.registration import reach_registry
from transforms.contract.declaration import parsing as declarations
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.masking import masked
from transforms.contract.workspace.files import remove
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice, Undecided

RETRY_DELAY_SECONDS = 5

_Given = TypeVar("_Given")
_R = TypeVar("_R")


def may_heal(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Returns whether trying again can help: what the user has to mend stays as it is."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StepDied) or not isinstance(error, BraidError)


def made_task(
    name: str, function: Callable[[_Given], _R], **options: Any
) -> Callable[[_Given], _R]:
    """Returns a function as a Prefect task of a name."""
    # Manifests say what is done, by looking at what is there; Prefect's cache cannot.
    made = task(name=name, cache_policy=NO_CACHE, persist_result=False, **options)(function)
    return cast("Callable[[_Given], _R]", made)


def _named(name: str, function: Callable[[Session], _R], **options: Any) -> Callable[[Session], _R]:
    return made_task(name, function, task_run_name=f"{name}: {{session.title}}", **options)


def _retried(name: str, function: Callable[[Session], _R]) -> Callable[[Session], _R]:
    return _named(
        name,
        function,
        retries=1,
        retry_delay_seconds=RETRY_DELAY_SECONDS,
        retry_condition_fn=may_heal,
    )


scan_source = made_task("scan", shard_steps.scan_source, task_run_name="scan: {pipeline.name}")
measure_drift = made_task(
    drift.STEP, drift.measure_drift, task_run_name=f"{drift.STEP}: {{work.title}}"
)
cut_windows = _named("windows", windows.cut_windows)
check_source = _named("check keys", shard_steps.check_source)
analyze = _named("analyze", shard_steps.analyze)
transform = _retried("transform", shard_steps.transform)
count_rows = _named("rows", shard_steps.count_rows)
train = _named("train", model_steps.train)
train_beside = _named("train", ending_others(model_steps.train))
export = _named("export", model_steps.export)
evaluate = _named("evaluate", model_steps.evaluate)
check_beside = _named("check", ending_others(model_steps.check))
register = _retried("register", model_steps.register)
gate = _named("gate", model_steps.gate)
promote = _retried("promote", model_steps.promote)


def _flow_run_name() -> str:
    """Returns the flow run's name until its partitions are known."""
    parameters = flow_run.parameters
    pipeline = declarations.load(Path(parameters["declaration"]), parameters["overrides"])
    return f"{pipeline.name} {now():%Y-%m-%d %H:%M:%S}"


def name_flow_run(name: str) -> None:
    """Gives the flow run that calls this another name."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(flow_run.id), name=plain(name))


@flow(name="braid", flow_run_name=_flow_run_name, persist_result=False)
def refresh_model(
    declaration: str, workspace: str, overrides: tuple[str, ...] = (), retrain: bool = False
) -> str:
    """Brings a pipeline's model up to date with its table; returns the run's folder.

    Args:
        declaration: The path of the pipeline.yaml.
        workspace: The folder of everything that pipelines make.
        overrides: "training.epochs=3" and the like.
        retrain: Train a new model even if nothing is new.
    """
    refuse_endless_restarts()
    pipeline = declarations.load(Path(declaration), overrides)
    folders = Workspace(Path(workspace).absolute())
    reach_registry(pipeline, folders, may_begin=retrain)
    reporter = Reporter(console(), _steps_of(pipeline))
    with pipeline_lock(folders, pipeline.name, reporter) as lock:
        partitions = scan_source(pipeline)
        name_flow_run(f"{pipeline.name}, {span(partitions)}, {now():%Y-%m-%d %H:%M:%S}")
        order = RunOrder(pipeline, folders, Path(declaration), reporter, lock)
        choice, measured = drift.decide(pipeline, partitions, folders, order.measure)
        return str(carry_out(order, choice, partitions, _steps, measured=measured, retrain=retrain))


@dataclass(frozen=True)
class RunOrder:
    """What runs of one pipeline have in common.

    Attributes:
        pipeline: The declaration.
        workspace: Where everything lies.
        declaration: The path of the pipeline.yaml.
        reporter: Who is told about progress.
        lock: The descriptor of the pipeline's held lock.
    """

    pipeline: PipelineSpec
    workspace: Workspace
    declaration: Path
    reporter: Reporter
    lock: int

    def measure(self, undecided: Undecided) -> StepRecord:
        """Measures the drift of new partitions, as a task of the flow that calls this."""
        return measure_drift(
            drift.Measurement(
                self.pipeline,
                self.workspace,
                undecided,
                self.reporter,
                search_path=search_path(self.pipeline, self.declaration),
                inherit=(self.lock,),
            )
        )


def carry_out(
    order: RunOrder,
    choice: TransformChoice,
    partitions: tuple[Partition, ...],
    work: Callable[[Session], None],
    *,
    measured: StepRecord | None = None,
    retrain: bool = False,
) -> Path:
    """Opens the run on these partitions and works on it, unless a finished one did all this.

    Args:
        order: What to run.
        choice: The transform.
        partitions: What the model is to be trained on.
        work: The steps of the run.
        measured: The step that measured what decided on the transform.
        retrain: Train a new model even if nothing is new.

    Returns:
        The run's folder.
    """
    pipeline, workspace, reporter = order.pipeline, order.workspace, order.reporter
    finished = None if retrain else up_to_date_run(workspace, pipeline, choice.name, partitions)
    if finished is not None:
        reporter.note(f"Nothing is new since run {finished[1].run_id}.")
        return finished[0]
    identity = identity_of(pipeline, choice.name, partitions)
    run = open_run(
        workspace, pipeline, identity, transform=choice.name, partitions=partitions, retrain=retrain
    )
    _announce(reporter, run, partitions, workspace)
    own_modules = search_path(pipeline, order.declaration)
    pool = GpuPool(pipeline.name, run.folder, title_of(pipeline, partitions), own_modules, reporter)
    session = Session(
        pipeline,
        workspace,
        run,
        choice=choice,
        partitions=partitions,
        reporter=reporter,
        search_path=own_modules,
        elsewhere=pool if pipeline.training.dispatch == "deployment" else None,
    )
    session.note_drift(measured)
    with session.child_locks(order.lock):
        _work(session, work)
    return session.folder


def _work(session: Session, work: Callable[[Session], None]) -> None:
    try:
        work(session)
    except BaseException as error:
        _record_failure(session, error)
        raise
    write_report(session.folder, session.record)
    _publish(session)


def _steps_of(pipeline: PipelineSpec) -> tuple[str, ...]:
    """Returns the names of the steps that a run may have, in their order."""
    measures = pipeline.transform.refit == "when_drifted"
    return (
        *((drift.STEP,) if measures else ()),
        *(("windows",) if pipeline.source.windows is not None else ()),
        *("check keys", "analyze", "transform", "rows", "train", "export", "check", "evaluate"),
        *("register", "gate", "promote"),
    )


def _steps(session: Session) -> None:
    if session.pipeline.source.windows is not None:
        cut_windows(session)
    check_source(session)
    with step_beside(session, "train", train_beside) as training:
        with shard_steps.transform_lock(session):
            analyze(session)
            if trains_early(session):
                training.begin()
            transform(session)
        count_rows(session)
    if not training.has_begun:
        train(session)
    _steps_on_model(session)


def steps_on_committed(session: Session) -> None:
    """The steps of a run whose partitions are all committed."""
    check_source(session)
    count_rows(session)
    train(session)
    _steps_on_model(session)


def _steps_on_model(session: Session) -> None:
    export(session)
    with step_beside(session, "check", check_beside) as check:
        check.begin()
        evaluate(session)
    register(session)
    passed = gate(session)
    if passed:
        promote(session)
    session.record.status = "promoted" if passed else "refused"
    session.record.ended = now()
    session.save()
    remove(session.folder / CHECKPOINT_FOLDER)  # the model is whole; nothing resumes this training


def _record_failure(session: Session, error: BaseException) -> None:
    record = session.record
    stop = stop_of(error)
    record.status, record.ended = "stopped" if stop else "failed", now()
    if isinstance(error, BraidError) and stop is None:
        record.error = error.to_dict()
    else:
        record.error = {"type": type(error).__name__, "received": stop or masked(str(error))}
    try:
        write_record(session.folder, record)
    except OSError as second:
        # A full disk, most likely, and what failed the run too. The record says "running" still,
        # which the next run takes for killed and resumes.
        session.reporter.note(f"  run.json could not be written: {second.strerror}")


def _announce(
    reporter: Reporter, run: OpenedRun, partitions: Sequence[Partition], workspace: Workspace
) -> None:
    record = run.record
    reporter.note(
        f"{record.pipeline} · run {record.run_id} · {span(partitions)} · {workspace.root}"
    )
    if run.resumed:
        reporter.note(f"  resumes this run: {run.resumed}")


def _publish(session: Session) -> None:
    """Shows the summary in Prefect's UI, the picture inside it."""
    text = (session.folder / SUMMARY_FILE).read_text(encoding="utf-8")
    picture = base64.b64encode((session.folder / PICTURE_FILE).read_bytes()).decode()
    create_markdown_artifact(
        key=f"braid-{session.pipeline.name.replace('_', '-')}",
        markdown=text.replace(f"({PICTURE_FILE})", f"(data:image/png;base64,{picture})"),
        description=f"Run {session.record.run_id}: {session.record.status}",
    )
