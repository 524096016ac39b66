"""The Prefect flow of a backfill: a task a partition, some at the same time, then the training.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.console.progress import Reporter, console
from flows.orchestration import backfill_steps as steps
from flows.orchestration.backfill_steps import Backfill, PartitionOfBackfill
from flows.orchestration.handover import open_for_flow
from flows.orchestration.restarts import refuse_endless_restarts, told_of_waiting
from flows.orchestration.run_flow import (
    RETRIED,
    RunOrder,
    carry_out,
    first_name,
    made_task,
    name_flow_run,
    publish,
    steps_on_committed,
)
from flows.orchestration.telling.events import emit_failure
from flows.orchestration.telling.task_log import TaskLog
from flows.process.pipeline_lock import pipeline_lock
from flows.records.backfill_record import BackfillRecord, Training
from flows.records.kept import now
from flows.records.log import BackfillLog
from flows.records.plan import plan_run
from flows.records.record import read_record
from flows.report.backfill_report import markdown
from flows.retention.store_needs import open_store
from flows.steps.backfill import (
    default_workers,
    partitions_between,
    partitions_of_source,
    training_sets,
)
from flows.steps.processes import Processes
from flows.steps.registration import reach_registry
from flows.steps.work import span
from transforms.contract.errors import BraidError
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice


class PartitionsFailed(BraidError):  # noqa: N818 - it names what happened
    """Some partitions failed; the others are committed.

    Args:
        backfill: The backfill, whose record has every failed partition with its error.
    """

    def __init__(self, backfill: Backfill) -> None:
        record = backfill.log.record
        failed = [part.name for part in record.failed()]
        self.folder = backfill.log.folder
        super().__init__(
            backfill.title,
            expected="every partition to be committed",
            received=f"{record.counts()}: {', '.join(failed)}",
            action="Mend them and run the same command again: it does only what is missing.",
        )


def _named(name: str, function: Callable[[Backfill], None]) -> Callable[[Backfill], None]:
    return made_task(name, function, task_run_name=f"{name}: {{backfill.title}}")


check_partitions = _named("check", steps.check_partitions)
freeze = _named("analyze", steps.freeze)
transform_partition: Any = made_task(
    "transform", steps.transform_partition, task_run_name="transform: {part.title}", **RETRIED
)


@flow(
    name="braid-backfill",
    flow_run_name=first_name,
    persist_result=False,
    on_failure=[emit_failure],
)
def backfill_partitions(
    declaration: str,
    workspace: str,
    overrides: tuple[str, ...] = (),
    first: str | None = None,
    last: str | None = None,
    workers: Annotated[int, Field(ge=1)] | None = None,
    train: Training = "once",
) -> str:
    """Transforms a range of partitions, each on its own, and trains; returns the record's folder.

    Args:
        declaration: The path of the pipeline.yaml.
        workspace: The folder of everything that pipelines make.
        overrides: Keys of the declaration with other values, such as training.epochs=3.
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
    folders = open_store(pipeline, Path(workspace).absolute())
    if train != "none":
        reach_registry(pipeline, folders)
    reporter = Reporter(console(), journal=TaskLog())
    with pipeline_lock(folders, pipeline.name, on_wait=told_of_waiting(reporter)) as lock:
        order = RunOrder(pipeline, folders, Path(declaration), reporter, lock)
        everything = opened.partitions or partitions_of_source(pipeline)
        chosen = partitions_between(everything, first, last)
        record = steps.open_record(
            pipeline, folders, chosen, workers=workers or default_workers(), train=train
        )
        backfill = _begin(order, chosen, record)
        with backfill.processes.inheriting(lock), backfill.log.ending():
            _transform_all(backfill)
            if not record.failed():
                _train(backfill, order, everything)
            _end(backfill)
        _publish(record)
        if record.failed():
            raise PartitionsFailed(backfill)
        return str(backfill.log.folder)


def _publish(record: BackfillRecord) -> None:
    title = f"Backfill {record.backfill_id}: {record.counts()}"
    publish(f"braid-backfill-{record.pipeline}", markdown(record), title)


def _begin(order: RunOrder, chosen: tuple[Partition, ...], record: BackfillRecord) -> Backfill:
    """Returns the backfill of the chosen partitions, and tells what it is going to do."""
    pipeline, reporter = order.pipeline, order.reporter
    name_flow_run(f"{pipeline.name} backfill, {span(chosen)}, {now():%Y-%m-%d %H:%M:%S}")
    folder = order.workspace.backfills(pipeline.name) / record.backfill_id
    processes = Processes(folder, reporter, order.search_path)
    log = BackfillLog(folder, record, reporter)
    backfill = Backfill(pipeline, order.workspace, chosen, processes, log)
    order.announce(f"backfill {record.backfill_id}", chosen)
    return backfill


def _transform_all(backfill: Backfill) -> None:
    for part in backfill.log.record.partitions:
        if part.status == "skipped":
            backfill.log.reporter.skipped(part.name, part.note)
    if not backfill.pending():
        return
    check_partitions(backfill)
    if not backfill.pending():
        return  # every one of them failed
    freeze(backfill)
    pending = backfill.pending()
    if not pending:
        return
    workers = backfill.log.record.workers
    runner: ThreadPoolTaskRunner[None] = ThreadPoolTaskRunner(max_workers=workers)
    with backfill.holding(), backfill.log.reporter.steps() as shown, runner:
        try:
            futures = [
                runner.submit(
                    transform_partition, {"part": PartitionOfBackfill(backfill, partition, shown)}
                )
                for partition in pending
            ]
            for future in futures:
                future.wait()
        except BaseException:
            backfill.processes.stopping.set()  # leaving the runner waits for what its threads do
            raise
    for partition in backfill.pending():
        backfill.fail(partition, RuntimeError("its task ended without a result"))


def _train(backfill: Backfill, order: RunOrder, everything: tuple[Partition, ...]) -> None:
    log = backfill.log
    log.reporter.note(f"  partitions: {log.record.counts()}")
    names = [partition.name for partition in backfill.partitions]
    due = training_sets(backfill.work_on(backfill.partitions), log.record.train, names, everything)
    for partitions in due:
        choice = TransformChoice(backfill.transform)
        plan = plan_run(order.pipeline, partitions, order.workspace, choice=choice).decided()
        run = read_record(carry_out(order, plan, steps_on_committed))
        if run is not None and run.status in ("promoted", "refused"):
            with log.recording() as record:
                record.runs.append(run.run_id)
                record.outcome = "promoted" if run.status == "promoted" else "refused"


def _end(backfill: Backfill) -> None:
    with backfill.log.recording() as record:
        record.status, record.ended = "failed" if record.failed() else "done", now()
