"""The Prefect flow: the steps of a run as tasks, in order. Locations pass between them, not data.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect import Task, flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import deployment, flow_run

from flows.console.harmless import plain
from flows.console.progress import Reporter, console
from flows.orchestration import run_steps as steps
from flows.orchestration.dispatch import GpuPool
from flows.orchestration.handover import name_at_first, open_for_flow
from flows.orchestration.overlap import ending_others, step_beside
from flows.orchestration.restarts import refuse_endless_restarts, told_of_waiting
from flows.orchestration.run_steps import Run
from flows.orchestration.telling.events import emit_failure, emit_refusal
from flows.orchestration.telling.task_log import TaskLog
from flows.process.child import StepDied
from flows.process.pipeline_lock import pipeline_lock
from flows.process.run_copies import copies_of, give_place
from flows.records.kept import now
from flows.records.log import RunLog
from flows.records.plan import DecidedPlan
from flows.records.record import PAGE_FILE
from flows.records.run_identity import OpenedRun, open_run
from flows.records.step_names import MEASURE_DRIFT, WINDOWS, steps_of
from flows.records.step_result import StepResult
from flows.report.summary import markdown, with_picture
from flows.retention.store_needs import open_store
from flows.steps import drift, shard_steps
from flows.steps.processes import Processes
from flows.steps.registration import reach_registry
from flows.steps.work import Work, search_path, span
from trainer.run_folder import CHECKPOINT_FOLDER
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.files import remove
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import Undecided

RETRY_DELAY_SECONDS = 5

_Given = TypeVar("_Given")
_R = TypeVar("_R")


def may_heal(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Returns whether trying again can help: what the user has to mend stays as it is."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StepDied) or not isinstance(error, BraidError)


RETRIED: dict[str, Any] = {
    "retries": 1,
    "retry_delay_seconds": RETRY_DELAY_SECONDS,
    "retry_condition_fn": may_heal,
}


def made_task(
    name: str, function: Callable[[_Given], _R], **options: Any
) -> Callable[[_Given], _R]:
    """Returns a function as a Prefect task of a name."""
    # Manifests say what is done, by looking at what is there; Prefect's cache cannot.
    made = task(name=name, cache_policy=NO_CACHE, persist_result=False, **options)(function)
    return cast("Callable[[_Given], _R]", made)


def _named(name: str, function: Callable[[Run], _R], **options: Any) -> Callable[[Run], _R]:
    return made_task(name, function, task_run_name=f"{name}: {{run.title}}", **options)


def _retried(name: str, function: Callable[[Run], _R]) -> Callable[[Run], _R]:
    return _named(name, function, **RETRIED)


scan_source = made_task("scan", shard_steps.scan_source, task_run_name="scan: {pipeline.name}")
measure_drift = made_task(
    MEASURE_DRIFT, drift.measure_drift, task_run_name=f"{MEASURE_DRIFT}: {{work.title}}"
)
cut_windows = _named(WINDOWS, steps.cut_windows)
check_source = _named("check keys", steps.check_source)
expect = _named("expect", steps.expect)
analyze = _named("analyze", steps.analyze)
transform = _retried("transform", steps.transform)
count_rows = _named("rows", steps.count_rows)
train = _named("train", steps.train)
train_beside = _named("train", ending_others(steps.train))
export = _named("export", steps.export)
evaluate = _named("evaluate", steps.evaluate)
check_beside = _named("check", ending_others(steps.check))
register = _retried("register", steps.register)
gate = _named("gate", steps.gate)
promote = _retried("promote", steps.promote)


def first_name() -> str:
    """Returns a flow run's name until its partitions are known."""
    return f"{name_at_first(deployment.name)} {now():%Y-%m-%d %H:%M:%S}"


def name_flow_run(name: str) -> None:
    """Gives the flow run that calls this another name."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(flow_run.id), name=plain(name))


@flow(name="braid", flow_run_name=first_name, persist_result=False, on_failure=[emit_failure])
def refresh_model(
    declaration: str, workspace: str, overrides: tuple[str, ...] = (), retrain: bool = False
) -> str:
    """Brings a pipeline's model up to date with its table; returns the run's folder.

    Args:
        declaration: The path of the pipeline.yaml.
        workspace: The folder of everything that pipelines make.
        overrides: Keys of the declaration with other values, such as training.epochs=3.
        retrain: Train a new model even if nothing is new.
    """
    refuse_endless_restarts()
    opened = open_for_flow(declaration, overrides)
    pipeline = opened.pipeline
    folders = open_store(pipeline, Path(workspace).absolute())
    reach_registry(pipeline, folders, may_begin=retrain)
    reporter = Reporter(console(), steps_of(pipeline), TaskLog())
    with pipeline_lock(folders, pipeline.name, on_wait=told_of_waiting(reporter)) as lock:
        partitions = opened.partitions or scan_source(pipeline)
        name_flow_run(f"{pipeline.name}, {span(partitions)}, {now():%Y-%m-%d %H:%M:%S}")
        order = RunOrder(pipeline, folders, Path(declaration), reporter, lock)
        plan, measured = drift.decide(pipeline, partitions, folders, order.measure, retrain=retrain)
        return str(carry_out(order, plan, _steps, measured=measured, retrain=retrain))


@dataclass(frozen=True)
class RunOrder:
    """The inputs that runs of one pipeline have in common.

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

    @property
    def search_path(self) -> Path | None:
        """Returns the folder of the user's own modules; None if the declaration names none."""
        return search_path(self.pipeline, self.declaration)

    def announce(self, what: str, partitions: Sequence[Partition]) -> None:
        """Tells what begins, and on which partitions."""
        self.reporter.note(
            f"{self.pipeline.name} · {what} · {span(partitions)} · {self.workspace.root}"
        )

    def measure(self, undecided: Undecided) -> StepResult[None]:
        """Measures the drift of new partitions, as a task of the flow that calls this."""
        return measure_drift(
            drift.Measurement(
                self.pipeline,
                self.workspace,
                undecided,
                self.reporter,
                search_path=self.search_path,
                inherit=(self.lock,),
            )
        )


def carry_out(
    order: RunOrder,
    plan: DecidedPlan,
    work: Callable[[Run], None],
    *,
    measured: StepResult[None] | None = None,
    retrain: bool = False,
) -> Path:
    """Opens the planned run and works on it, unless a finished one did all this.

    Args:
        order: What to run.
        plan: What it would do.
        work: The steps of the run.
        measured: The step that measured what decided on the transform.
        retrain: Train a new model even if nothing is new.

    Returns:
        The run's folder.
    """
    if plan.finished is not None:
        order.reporter.note(f"Nothing is new since run {plan.finished[1].run_id}.")
        return plan.finished[0]
    opened = open_run(
        order.workspace,
        order.pipeline,
        plan.identity,
        transform=plan.choice.name,
        partitions=plan.partitions,
        retrain=retrain,
    )
    order.announce(f"run {opened.record.run_id}", plan.partitions)
    if opened.resumed:
        order.reporter.note(f"  resumes this run: {opened.resumed}")
    run = _begin(order, opened, plan)
    run.begin(measured)
    with run.processes.inheriting(order.lock):
        try:
            with run.log.ending():
                work(run)
            steps.write_reports(run)
        finally:
            steps.note_end(run, order.declaration)
        _publish(run.log)
        emit_refusal(run.log.record)
    return run.log.folder


def _begin(order: RunOrder, opened: OpenedRun, plan: DecidedPlan) -> Run:
    pipeline, modules = order.pipeline, order.search_path
    work = Work(pipeline, order.workspace, opened.folder, plan.choice, plan.partitions)
    is_elsewhere = pipeline.training.dispatch == "deployment"
    copies = give_place(order.workspace, opened.folder) if is_elsewhere else None
    pool = GpuPool(pipeline.name, opened.folder, work.title, modules, order.reporter, copies)
    processes = Processes(
        opened.folder,
        order.reporter,
        modules,
        elsewhere=pool if is_elsewhere else None,
    )
    return Run(work, processes, RunLog(opened.folder, opened.record, order.reporter))


def _steps(run: Run) -> None:
    if run.work.pipeline.source.windows is not None:
        run = cut_windows(run)
    check_source(run)
    with step_beside(run, "train", train_beside) as training:
        with steps.transform_lock(run):
            if run.work.pipeline.expect:
                expect(run)
            analyze(run)
            if _may_train_beside(run) and run.has_pending():
                training.begin()
            transform(run)
        count_rows(run)
    if not training.has_begun:
        train(run)
    _steps_on_model(run)


def _may_train_beside(run: Run) -> bool:
    """Returns whether a training may begin before all is transformed, as declared.

    By the transform's lock it knows that somebody still works, and sees that in this workspace.
    """
    sees_lock = run.processes.elsewhere is None or isinstance(run.work.workspace.stored, Path)
    return run.work.pipeline.training.start == "streaming" and sees_lock


def steps_on_committed(run: Run) -> None:
    """The steps of a run whose partitions are all committed."""
    steps.keep_shards(run)
    check_source(run)
    if run.work.pipeline.expect:
        expect(run)
    count_rows(run)
    train(run)
    _steps_on_model(run)


def _steps_on_model(run: Run) -> None:
    export(run)
    with step_beside(run, "check", check_beside) as check:
        check.begin()
        evaluate(run)
    register(run)
    passed = gate(run)
    if passed:
        promote(run)
    with run.log.recording() as record:
        record.status = "promoted" if passed else "refused"
        record.ended = now()
    _remove_checkpoints(run)


def _remove_checkpoints(run: Run) -> None:
    """Removes what a training resumes from, here and in the store: the model is whole by now."""
    remove(run.log.folder / CHECKPOINT_FOLDER)
    copies = copies_of(run.work.workspace, run.log.folder)
    if copies is not None:
        try:
            copies.push()
        except BraidError as error:  # the run has ended well
            run.log.reporter.note(f"  checkpoints stay in the store: {error.received}")


def _publish(log: RunLog) -> None:
    """Shows the summary in Prefect's UI, the picture inside it, and links to page and model."""
    publish(
        f"braid-{log.record.pipeline}",
        with_picture(markdown(log.record), log.folder),
        f"Run {log.record.run_id}: {log.record.status}",
    )
    page = log.folder / PAGE_FILE
    if page.exists():
        create_link_artifact(
            key=f"braid-{log.record.pipeline}-page".replace("_", "-"),
            link=page.absolute().as_uri(),
            link_text=f"{PAGE_FILE} of run {log.record.run_id}",
        )
    model = log.record.model
    address = None if model is None else model.page()
    if model is not None and address is not None:
        create_link_artifact(
            key=f"braid-{log.record.pipeline}-model".replace("_", "-"),
            link=address,
            link_text=f"{model.name} version {model.version}",
        )


def publish(key: str, markdown: str, description: str) -> None:
    """Shows Markdown in Prefect's UI.

    Args:
        key: What tells it from others; underscores become hyphens.
        markdown: The text.
        description: One line.
    """
    create_markdown_artifact(key=key.replace("_", "-"), markdown=markdown, description=description)
