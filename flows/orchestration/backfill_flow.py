"""The Prefect flow of a backfill: a task a partition, some at the same time, then the training.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.task_runners import ThreadPoolTaskRunner

from flows.console.failures import stop_of
from flows.console.progress import Reporter, console
from flows.orchestration.handover import open_for_flow
from flows.orchestration.restarts import pipeline_lock, refuse_endless_restarts
from flows.orchestration.run_flow import (
    RETRY_DELAY_SECONDS,
    RunOrder,
    carry_out,
    first_name,
    made_task,
    may_heal,
    name_flow_run,
    steps_on_committed,
)
from flows.records.backfill_record import BackfillRecord, Training
from flows.records.plan import plan_run
from flows.records.record import now, read_record
from flows.report.backfill_report import markdown
from flows.sessions.backfill_session import Backfill, PartitionWork
from flows.sessions.session import search_path, span
from flows.steps import backfill as steps
from flows.steps.registration import reach_registry
from transforms.contract.errors import BraidError, ErrorReport
from transforms.contract.masking import masked
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice


class PartitionsFailed(BraidError):  # noqa: N818 - it names what happened
    """Some partitions failed; the others are committed.

    Args:
        backfill: The backfill, whose record has every failed partition with its error.
    """

    def __init__(self, backfill: Backfill) -> None:
        failed = [part.name for part in backfill.record.failed()]
        self.folder = backfill.folder
        super().__init__(
            backfill.title,
            expected="every partition to be committed",
            received=f"{backfill.record.counts()}: {', '.join(failed)}",
            action="Mend them and run the same command again: it does only what is missing.",
        )


def _named(name: str, function: Callable[[Backfill], None]) -> Callable[[Backfill], None]:
    return made_task(name, function, task_run_name=f"{name}: {{backfill.title}}")


check_partitions = _named("check", steps.check_partitions)
freeze = _named("analyze", steps.freeze)
transform_partition: Any = made_task(
    "transform",
    steps.transform_partition,
    task_run_name="transform: {work.title}",
    retries=1,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=may_heal,
)


@flow(name="braid-backfill", flow_run_name=first_name, persist_result=False)
def backfill_partitions(
    declaration: str,
    workspace: str,
    overrides: tuple[str, ...] = (),
    first: str | None = None,
    last: str | None = None,
    workers: int | None = None,
    train: Training = "once",
) -> str:
    """Transforms a range of partitions, each on its own, and trains; returns the record's folder.

    Args:
        declaration: The path of the pipeline.yaml.
        workspace: The folder of everything that pipelines make.
        overrides: "training.epochs=3" and the like.
        first: The value of the first partition; None begins with the source's first.
        last: The value of the last partition, which belongs to the range.
        workers: How many partitions at once; None takes half of the cores.
        train: Once at the end, after each partition in order, or not at all.

    Raises:
        PartitionsFailed: Some partitions failed; nothing was trained.
        BraidError: Another run of the pipeline is going on, or the training failed.
    """
    refuse_endless_restarts()
    opened = open_for_flow(declaration, overrides)
    pipeline = opened.pipeline
    folders = Workspace(Path(workspace).absolute())
    if train != "none":
        reach_registry(pipeline, folders)
    reporter = Reporter(console())
    with pipeline_lock(folders, pipeline.name, reporter) as lock:
        order = RunOrder(pipeline, folders, Path(declaration), reporter, lock)
        everything = opened.partitions or steps.partitions_of_source(pipeline)
        chosen = steps.partitions_between(everything, first, last)
        record = steps.open_record(
            pipeline, folders, chosen, workers=workers or steps.default_workers(), train=train
        )
        backfill = _begin(order, chosen, record)
        with _recording_the_end(backfill):
            _transform_all(backfill)
            if not record.failed():
                _train(backfill, order, everything)
        _publish(backfill)
        if record.failed():
            raise PartitionsFailed(backfill)
        return str(backfill.folder)


def _begin(order: RunOrder, chosen: tuple[Partition, ...], record: BackfillRecord) -> Backfill:
    """Returns the backfill of the chosen partitions, and tells what it is going to do."""
    pipeline = order.pipeline
    name_flow_run(f"{pipeline.name} backfill, {span(chosen)}, {now():%Y-%m-%d %H:%M:%S}")
    backfill = Backfill(
        pipeline,
        order.workspace,
        chosen,
        record,
        reporter=order.reporter,
        lock=order.lock,
        search_path=search_path(pipeline, order.declaration),
    )
    order.reporter.note(
        f"{pipeline.name} · backfill {record.backfill_id} · {span(chosen)} · {order.workspace.root}"
    )
    return backfill


@contextmanager
def _recording_the_end(backfill: Backfill) -> Iterator[None]:
    """Records how the backfill ended, whatever ends the block."""
    try:
        yield
    except BaseException as error:
        _end(backfill, error)
        raise
    _end(backfill)


def _transform_all(backfill: Backfill) -> None:
    for part in backfill.record.partitions:
        if part.status == "skipped":
            backfill.reporter.skipped(part.name, part.note)
    if not backfill.pending():
        return
    check_partitions(backfill)
    if not backfill.pending():
        return  # every one of them failed
    freeze(backfill)
    pending = backfill.pending()
    if not pending:
        return
    runner: ThreadPoolTaskRunner[None] = ThreadPoolTaskRunner(max_workers=backfill.record.workers)
    with backfill.holding(), backfill.reporter.steps() as shown, runner:
        try:
            futures = [
                runner.submit(
                    transform_partition, {"work": PartitionWork(backfill, partition, shown)}
                )
                for partition in pending
            ]
            for future in futures:
                future.wait()
        except BaseException:
            backfill.stopping.set()  # leaving the runner waits for what its threads do
            raise
    for partition in backfill.pending():
        backfill.fail(partition, RuntimeError("its task ended without a result"))


def _train(backfill: Backfill, order: RunOrder, everything: tuple[Partition, ...]) -> None:
    backfill.reporter.note(f"  partitions: {backfill.record.counts()}")
    for partitions in steps.training_sets(backfill, everything):
        choice = TransformChoice(backfill.transform)
        plan = plan_run(order.pipeline, partitions, order.workspace, choice=choice).decided()
        folder = carry_out(order, plan, steps_on_committed)
        run = read_record(folder)
        if run is not None and run.status in ("promoted", "refused"):
            backfill.record.runs.append(run.run_id)
            backfill.record.trained = "promoted" if run.status == "promoted" else "refused"
            backfill.save()


def _end(backfill: Backfill, error: BaseException | None = None) -> None:
    record = backfill.record
    record.status, record.ended = "done", now()
    stop = None if error is None else stop_of(error)
    if isinstance(error, BraidError) and stop is None:
        record.error = error.report()
    elif error is not None:
        record.error = ErrorReport(type=type(error).__name__, received=stop or masked(str(error)))
    if error is not None or record.failed():
        record.status = "stopped" if stop else "failed"
    try:
        backfill.save()
    except OSError as second:
        # A full disk, most likely, and what failed the backfill too.
        backfill.reporter.note(f"  backfill.json could not be written: {second.strerror}")


def _publish(backfill: Backfill) -> None:
    """Shows the summary in Prefect's UI."""
    create_markdown_artifact(
        key=f"braid-backfill-{backfill.pipeline.name.replace('_', '-')}",
        markdown=markdown(backfill.record),
        description=f"Backfill {backfill.record.backfill_id}: {backfill.record.counts()}",
    )
