"""A tuning: trials on the shards of a run, and the keys of the best one.

A folder a tuning, named after all that trials depend on, so that the same command goes on with the
trials that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import JsonValue

from flows.commands.launch import launch
from flows.console.progress import Reporter, StepView
from flows.console.wording import counted
from flows.orchestration.run_steps import Run, shards
from flows.process.pipeline_lock import pipeline_lock
from flows.records.log import RunLog
from flows.records.plan import DecidedPlan
from flows.records.record import RunRecord, write_record
from flows.records.run_identity import OpenedRun, new_record
from flows.records.step_result import StepResult, Stopwatch
from flows.report.summary import write_report
from flows.retention.store_needs import join_store
from flows.steps import drift
from flows.steps.processes import Processes
from flows.steps.registration import reach_registry
from flows.steps.shard_steps import scan_source
from flows.steps.work import Work, search_path, span
from transforms.contract.declaration.parsing import load, read_document
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.fingerprint import fingerprint
from transforms.contract.process.events import Progress
from transforms.contract.steps.step import TUNE
from transforms.contract.steps.tuning import (
    SEARCH_VERSION,
    SearchedKey,
    Trial,
    TuneJob,
    Tuning,
    changes_in_words,
    ranked,
    read_trials,
    searched_keys,
    settings_of,
)
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import Undecided

_STEP = TUNE.name


@dataclass(frozen=True)
class Order:
    """The pipeline that is to be tuned.

    Attributes:
        declaration: The path of the pipeline.yaml.
        overrides: "training.epochs=3" and the like; they count as declared.
        pipeline: The declaration with them.
        workspace: Where everything lies.
        reporter: Who is told about progress.
    """

    declaration: Path
    overrides: tuple[str, ...]
    pipeline: PipelineSpec
    workspace: Workspace
    reporter: Reporter


def tune(order: Order, *, trials: int, seconds: float) -> Tuning:
    """Makes the shards that are missing, and runs trials on them.

    Args:
        order: What to tune.
        trials: As many as there are to be, those of earlier commands among them.
        seconds: For the trials of this call.

    Raises:
        DeclarationError: Nothing can be tuned.
        BraidError: The registry does not answer, the pipeline runs already, a step failed, or no
            trial came to its end.
    """
    keys = _keys(order.pipeline)
    reach_registry(order.pipeline, order.workspace)
    join_store(order.workspace)
    partitions = scan_source(order.pipeline)
    with _under_way(order, keys, partitions) as run:
        run = shards(run)
        made = run.log.record.step("transform")
        transformed = (made.rows if made else None) or 0
        order.reporter.note(f"  {transformed:,} rows transformed")
        _run_trials(run, keys, trials=trials, seconds=seconds)
        return _outcome(_trials_folder(run.log.folder), keys, transformed)


def run_best(order: Order, tuning: Tuning) -> tuple[Path, RunRecord]:
    """Runs the pipeline with the keys of the best trial; its record has the trials.

    Returns:
        The run's folder and its record.
    """
    overrides = (*order.overrides, *as_overrides(tuning.settings))
    pipeline = load(order.declaration, overrides)
    folder, record = launch(
        order.reporter.console,
        order.declaration,
        pipeline,
        order.workspace,
        overrides,
        retrain=False,
    )
    record.tuning = tuning
    write_record(folder, record)
    write_report(folder, record)
    return folder, record


def as_overrides(settings: dict[str, JsonValue]) -> tuple[str, ...]:
    """Returns settings as `--set` takes them."""
    texts = {
        path: yaml.safe_dump(value, default_flow_style=True) for path, value in settings.items()
    }
    return tuple(
        f"{path}={text.strip().removesuffix('...').strip()}" for path, text in texts.items()
    )


def as_yaml(document: object) -> str:
    """Returns a part of a declaration, or a whole one, as YAML."""
    return yaml.safe_dump(
        document, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100
    )


def check_target(target: Path, declaration: Path) -> None:
    """Refuses to write a declaration where its paths would be wrong, or over the tuned one.

    Raises:
        DeclarationError: The file is in another folder, or is the declaration.
    """
    if target.resolve() == declaration.resolve():
        received = "the declaration itself, whose comments would be lost"
    elif target.resolve().parent != declaration.resolve().parent:
        received = str(target)
    else:
        return
    raise DeclarationError(
        "--write",
        expected=f"another file in {declaration.resolve().parent}, as paths are relative to it",
        received=received,
        action=f"Write to {declaration.with_name('tuned.yaml')}.",
    )


def write_declaration(target: Path, order: Order, settings: dict[str, JsonValue]) -> None:
    """Writes the declaration with other values for some keys; its comments are lost."""
    document = read_document(order.declaration, (*order.overrides, *as_overrides(settings)))
    write_atomic(target, as_yaml(document))


def _keys(pipeline: PipelineSpec) -> tuple[SearchedKey, ...]:
    training = pipeline.training
    if training.objective == "adversarial":
        raise DeclarationError(
            "training.objective",
            expected="supervised for a tuning, as no loss says which adversarial model is better",
            received="'adversarial'",
            action="Compare runs by eye: report.png has pictures of each.",
        )
    if training.dispatch == "deployment":
        raise DeclarationError(
            "training.dispatch",
            expected="local, as trials run on the machine of the command",
            received="'deployment'",
            action="Tune on the machine with the GPU, with --set training.dispatch=local.",
        )
    keys = searched_keys(pipeline)
    if not keys:
        raise DeclarationError(
            "training, model.fusion and model.encoders",
            expected="a key that is left to its default",
            received="none: all that a tuning may change is declared",
            action="Remove those keys from the declaration that trials may change.",
        )
    return keys


@contextmanager
def _under_way(
    order: Order, keys: tuple[SearchedKey, ...], partitions: tuple[Partition, ...]
) -> Iterator[Run]:
    """Gives a tuning as what it is up to its shards, a run, and holds the pipeline's lock."""
    pipeline, workspace = order.pipeline, order.workspace
    modules = search_path(pipeline, order.declaration)
    with pipeline_lock(workspace, pipeline.name) as lock:

        def measure(undecided: Undecided) -> StepResult[None]:
            work = drift.Measurement(
                pipeline, workspace, undecided, order.reporter, modules, inherit=(lock,)
            )
            return drift.measure_drift(work)

        plan, measured = drift.decide(pipeline, partitions, workspace, measure)
        opened = _opened(order, keys, plan)
        run = Run(
            Work(pipeline, workspace, opened.folder, plan.choice, partitions),
            Processes(opened.folder, order.reporter, modules),
            RunLog(opened.folder, opened.record, order.reporter),
        )
        run.begin(measured)
        order.reporter.note(
            f"{pipeline.name} · tuning {opened.folder.name} · {span(partitions)} · {workspace.root}"
        )
        with run.processes.inheriting(lock):
            yield run


def _opened(order: Order, keys: tuple[SearchedKey, ...], plan: DecidedPlan) -> OpenedRun:
    """Returns the record of a tuning, in a folder of its own."""
    pipeline, identity = order.pipeline, plan.identity
    searched = [key.model_dump(mode="json") for key in keys]
    name = fingerprint([SEARCH_VERSION, identity.run, searched])
    record = new_record(pipeline, identity, plan.choice.name, name)
    record.note_partitions({part.name: part.fingerprint for part in plan.partitions})
    return OpenedRun(order.workspace.tunings(pipeline.name) / name, record)


def _run_trials(run: Run, keys: tuple[SearchedKey, ...], *, trials: int, seconds: float) -> None:
    folder, reporter, work = _trials_folder(run.log.folder), run.log.reporter, run.work
    known = read_trials(folder)
    if known:
        reporter.skipped(_STEP, f"{counted(len(known), 'trial')} of earlier commands kept")
    if len(known) >= trials:
        return
    job = TuneJob(
        training=work.train_job().model_copy(update={"pipeline": _as_trial(work.pipeline)}),
        keys=keys,
        trials=trials,
        seconds=seconds,
        folder=str(folder),
    )
    watch, told = Stopwatch(), len(known)

    def show(view: StepView, progress: Progress) -> None:
        nonlocal told
        if progress.unit != "trials":
            view.update(progress)
            return
        ended = read_trials(folder)
        for trial in ended[told:]:
            _tell(reporter, trial, ended)
        told = len(ended)

    result = run.processes.run(TUNE, job, show).result
    reporter.done(
        _STEP,
        f"{result.trials} trials · {watch.seconds():.1f} s · compared on "
        f"{result.validation:,} validation rows",
    )


def _as_trial(pipeline: PipelineSpec) -> PipelineSpec:
    """Returns the declaration as trials train it: one network, once, from random weights."""
    quick = {"members": 1, "refit": None, "start": "all", "warm_start": None}
    modelled = pipeline.modelled()
    training = modelled.training.model_copy(update=quick)
    return modelled.model_copy(update={"training": training})


def _outcome(folder: Path, keys: Iterable[SearchedKey], transformed: int) -> Tuning:
    trials = read_trials(folder)
    best = next(iter(ranked(trials)), None)
    if best is None:
        raise BraidError(
            str(folder),
            expected="a trial that comes to its end",
            received=f"{counted(len(trials), 'trial')}, whose losses all left the numbers",
            action="Look at numeric features and targets with `scale: none`, whose values may be "
            "too large.",
        )
    return Tuning(
        trials=trials,
        best=best.number,
        settings=settings_of(keys, best.changes),
        seconds=round(sum(trial.seconds for trial in trials), 3),
        transformed=transformed,
    )


def _tell(reporter: Reporter, trial: Trial, trials: Iterable[Trial]) -> None:
    """Tells of a trial: its loss, the best so far, and what it changes."""
    best = next(iter(ranked(each for each in trials if each.number <= trial.number)), None)
    text = "no finite loss" if trial.loss is None else f"{trial.loss:.4f}"
    if trial.status == "pruned":
        text += ", stopped early"
    if best is not None and best.loss is not None:
        text += f" · best {best.loss:.4f}"
    text += f" · {trial.seconds:.1f} s · {changes_in_words(trial.changes) or 'the declaration'}"
    tell = reporter.done if trial.status == "complete" else reporter.skipped
    tell(f"trial {trial.number}", text)


def _trials_folder(tuning: Path) -> Path:
    return tuning / "trials"
