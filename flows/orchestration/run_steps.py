"""The steps of a run as its flow takes them: what is known goes in, what they did is recorded.

Nothing here imports Prefect: a tuning takes the steps up to the shards without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flows.records.log import RunLog
from flows.records.record import PAGE_FILE, SUMMARY_FILE, StepRecord
from flows.records.run_identity import is_evaluated_as_declared, pending_partitions
from flows.records.step_result import StepResult
from flows.report.page.page import write_page
from flows.report.summary import write_report
from flows.steps import model_steps, registration, shard_steps, windows
from flows.steps.budget import check_budget
from flows.steps.processes import Processes
from flows.steps.work import Work
from transforms.contract.errors import BraidError


class Run:
    """A run or a tuning under way.

    It is no dataclass, as Prefect would look for futures in all that is in one.

    Args:
        work: What its steps are given.
        processes: Starts those that need a process of their own.
        log: Its record.
    """

    def __init__(self, work: Work, processes: Processes, log: RunLog) -> None:
        self.work = work
        self.processes = processes
        self.log = log

    @property
    def title(self) -> str:
        """The pipeline and the partitions that it works on, for the names of tasks."""
        return self.work.title

    def begin(self, measured: StepResult[None] | None) -> None:
        """Records what decided on the transform, if drift did, and the step that measured it."""
        with self.log.recording() as record:
            if self.work.choice.drift is not None:
                record.drift = self.work.choice.drift
            if measured is not None and measured.record is not None:
                record.put_step(measured.record)

    def has_pending(self) -> bool:
        """Returns whether there is yet to transform."""
        work = self.work
        return bool(pending_partitions(work.workspace, work.transform, work.partitions))


def cut_windows(run: Run) -> Run:
    """Cuts the windows, and returns the run as one on their table."""
    cut = run.log.put(windows.cut_windows(run.work, run.log.reporter))
    return Run(replace(run.work, partitions=(cut,)), run.processes, run.log)


def check_source(run: Run) -> None:
    """Looks for keys that two rows share."""
    run.log.put(shard_steps.check_source(run.work))


@contextmanager
def transform_lock(run: Run) -> Iterator[None]:
    """Keeps other pipelines' runs from writing the same shards, and cleans up."""
    with shard_steps.transform_lock(run.work, run.processes):
        yield


def keep_shards(run: Run) -> None:
    """Lets no other workspace remove the run's shards, which are all committed."""
    shard_steps.keep_shards(run.work, run.processes.reporter)


def expect(run: Run) -> None:
    """Holds partitions against what is expected of them, unless their analysis will."""
    judged = shard_steps.expect(run.work, run.processes)
    if judged is not None:
        run.log.put(judged)


def analyze(run: Run) -> None:
    """Freezes the transform's statistics, unless they are committed already."""
    run.log.put(shard_steps.analyze(run.work, run.processes))


def transform(run: Run) -> None:
    """Writes the shards of every partition that is not committed yet."""
    run.log.put(shard_steps.transform(run.work, run.processes))


def count_rows(run: Run) -> None:
    """Records what the shards hold that train, and refuses a run that lost too many rows."""
    result, pipeline = shard_steps.count_rows(run.work), run.work.pipeline
    counts = result.value
    with run.log.recording() as record:
        record.rows = counts.rows
        record.source_rows = counts.source_rows
        record.left_out = counts.left_out
        record.rejects = counts.rejects
        record.replaced = counts.replaced
        run.log.put(result)
    judged = {str(gate.metric).partition("_")[0] for gate in pipeline.gates()}
    most = pipeline.transform.max_reject_fraction
    check_budget(counts.manifests, most, ("train", *sorted(judged)))


def shards(run: Run) -> Run:
    """Takes all steps up to the counted shards, and returns the run as one on their table."""
    if run.work.pipeline.source.windows is not None:
        run = cut_windows(run)
    check_source(run)
    with transform_lock(run):
        expect(run)
        analyze(run)
        transform(run)
    count_rows(run)
    return run


def train(run: Run) -> None:
    """Trains the model, unless an earlier attempt of the run did."""
    if run.log.was_done("train"):
        return
    start = model_steps.warm_start(run.work, run.log.record.warm_start)
    if start is not None:
        with run.log.recording() as record:
            record.warm_start = start.version
    trained = model_steps.train(run.work, run.processes, start)
    with run.log.recording() as record:
        record.note_training(trained.value)
        run.log.put(trained)


def export(run: Run) -> None:
    """Joins transform graph and model in one SavedModel."""
    if not run.log.was_done("export"):
        run.log.put(model_steps.export(run.work, run.processes))


def evaluate(run: Run) -> None:
    """Scores the new model, the baselines and the present champion on the same test rows."""
    champion = model_steps.present_champion(run.work, run.log.record.model)
    compared_with = None if champion is None else champion.version
    is_asked = is_evaluated_as_declared(run.log.folder, run.work.pipeline)
    is_same = is_asked and run.log.record.compared_with == compared_with
    if is_same and run.log.was_done("evaluate"):
        return
    evaluated = model_steps.evaluate(run.work, run.processes, champion)
    with run.log.recording() as record:
        record.evaluated(evaluated.value, compared_with)
        run.log.put(evaluated)


def check(run: Run) -> None:
    """Lets the export answer in a fresh process."""
    if not run.log.was_done("check"):
        run.log.put(model_steps.check(run.work, run.processes))


def register(run: Run) -> None:
    """Registers the model; a run has one version, however often it is resumed."""
    if run.log.was_done("register"):
        return
    registered = model_steps.register(run.work, run.log.record)
    with run.log.recording() as record:
        record.model = registered.value
        run.log.put(registered)


def write_reports(run: Run) -> None:
    """Writes the run's summary, picture and page.

    An error in one is told and raised no further: the model is registered by then.
    """
    folder, record = run.log.folder, run.log.record
    writers: dict[str, Callable[[], None]] = {
        SUMMARY_FILE: lambda: write_report(folder, record),
        PAGE_FILE: lambda: write_page(run.work, record),
    }
    for file, write in writers.items():
        try:
            write()
        except Exception as error:  # whatever it is, it changes nothing of how the run ended
            run.log.reporter.note(f"  {file} could not be written: {error}")


def note_end(run: Run, declaration: Path) -> None:
    """Notes beside the registered version how the run ended; its fate is decided by then."""
    try:
        registration.note_end(run.work, run.log.record, declaration)
    except (BraidError, OSError) as error:
        why = error.received if isinstance(error, BraidError) else error.strerror
        run.log.reporter.note(f"  the registry was not told how the run ended: {why}")


def gate(run: Run) -> bool:
    """Decides whether the model may become the champion."""
    judged = model_steps.gate(run.work, run.log.record)
    with run.log.recording() as record:
        record.gate = judged.value
        run.log.put(judged)
    return judged.value.passed


def promote(run: Run) -> None:
    """Makes the model the champion."""
    run.log.put(model_steps.promote(run.work, run.log.record))


def note_beside(run: Run, earlier: StepRecord | None, name: str, seconds: float) -> None:
    """Records how long a step was under way beside others.

    Args:
        run: The run.
        earlier: The step's record before it began.
        name: The step.
        seconds: Since it began.
    """
    with run.log.recording() as record:
        step = record.step(name)
        if step is not None and step is not earlier and step.seconds is not None:
            both = round(min(seconds, step.seconds), 3)
            record.put_step(step.model_copy(update={"beside": both}))
