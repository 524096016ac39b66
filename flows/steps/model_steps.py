"""The steps of a run after the shards: functions of its work to what they did."""

from __future__ import annotations

from flows.console.progress import summary
from flows.records.record import GateRecord, ModelVersion, RunRecord, StepRecord
from flows.records.step_result import StepResult, Stopwatch, timed
from flows.steps.processes import Processes
from flows.steps.registration import open_registry, register_run
from flows.steps.work import Work
from trainer.registry.champions import Cause
from trainer.registry.gate import decide
from trainer.registry.version import RegisteredVersion
from transforms.contract.steps.evaluation import EvaluationResult, read_evaluation
from transforms.contract.steps.jobs import WarmStart
from transforms.contract.steps.results import TrainResult, WarmStarted
from transforms.contract.steps.step import CHECK, EVALUATE, EXPORT, TRAIN


def warm_start(work: Work, known: str | None) -> WarmStart | None:
    """Returns what a training is to begin with; None if nothing is declared or there.

    Args:
        work: The run's work.
        known: The version that the run has begun with before, to which it keeps.
    """
    if work.pipeline.training.warm_start is None:
        return None
    registry = open_registry(work.pipeline, work.workspace)
    name = work.pipeline.registered_name()
    version = registry.find(name, version=known) if known else None
    version = version or registry.champion(name)
    if version is None:
        return None
    return WarmStart(version=version.version, folder=str(registry.export_folder(version)))


def train(work: Work, processes: Processes, start: WarmStart | None) -> StepResult[TrainResult]:
    """Trains the model; a run that was interrupted goes on from its last checkpoint.

    Args:
        work: The run's work.
        processes: Starts the training.
        start: What it begins with.
    """
    watch = Stopwatch()
    done = processes.run(TRAIN, work.train_job(warm_start=start))
    result = done.result
    note = _training_note(result)
    if work.pipeline.training.warm_start is not None:
        note += f"; {warm_start_note(result.warm_start)}"
    record = StepRecord(
        name="train",
        seconds=round(watch.seconds(), 3),
        rows=result.rows,
        rows_per_second=round(result.rows_per_second, 1),
        note=note,
        peak_bytes=done.peak_bytes or None,
    )
    rate = f"{result.rows_per_second:,.0f} rows/s"
    text = f"{summary(None, watch.seconds())} · {rate} · {note}"
    warnings = (*_column_warnings(work), *result.warnings)
    return StepResult("train", text, result.model_copy(update={"warnings": warnings}), record)


def _training_note(result: TrainResult) -> str:
    note = f"{result.epochs} epochs, the best is {result.best_epoch}; {result.recipe}"
    note += f"; waited {result.input_wait_share:.0%} of the time for data"
    if result.transform_wait_seconds > 0:
        note += f" and {result.transform_wait_seconds:.0f} s for the transform"
    if result.linear_shares:
        shares = (f"{name} {share:.0%}" for name, share in result.linear_shares.items())
        note += f"; the linear model's share: {', '.join(shares)}"
    if result.loss_weights:
        weights = (f"{name} {weight:.3g}" for name, weight in result.loss_weights.items())
        note += f"; learnt loss weights: {', '.join(weights)}"
    return note


def _column_warnings(work: Work) -> list[str]:
    """Returns what the analysis found odd about the columns that the model reads."""
    manifest = work.workspace.read_transform(work.transform)
    if manifest is None:
        return []
    used = work.pipeline.modelled().features
    return [warning for name, warning in manifest.warnings.items() if name in used]


def warm_start_note(started: WarmStarted | None) -> str:
    """Returns what a training with a warm start began with, in words.

    Args:
        started: What the training told of it; None if there was no champion.
    """
    if started is None:
        return "no champion to start from"
    parts = [f"{started.carried} of {started.weights} variables"]
    parts += [
        f"{known:,} of {count:,} terms of {name}"
        for name, (known, count) in started.terms.items()
        if known < count
    ]
    return f"warm start from version {started.version}: {'; '.join(parts)}"


def export(work: Work, processes: Processes) -> StepResult[None]:
    """Joins transform graph and model in one SavedModel."""
    watch = Stopwatch()
    done = processes.run(EXPORT, work.train_job())
    size = done.result.bytes
    text = f"{size / 1e6:.1f} MB"
    return timed("export", watch, text, None, peak_bytes=done.peak_bytes, written_bytes=size)


def evaluate(
    work: Work, processes: Processes, champion: RegisteredVersion | None
) -> StepResult[EvaluationResult]:
    """Scores the new model, the baselines and a champion on the same test rows.

    Args:
        work: The run's work.
        processes: Starts the evaluation.
        champion: What the model is held against.
    """
    watch = Stopwatch()
    registry = open_registry(work.pipeline, work.workspace)
    job = work.train_job(None if champion is None else registry.export_folder(champion))
    done = processes.run(EVALUATE, job)
    text = f"{done.result.rows:,} rows"
    if champion is not None:
        text += f", beside champion version {champion.version}"
    return timed("evaluate", watch, text, done.result, peak_bytes=done.peak_bytes)


def check(work: Work, processes: Processes) -> StepResult[None]:
    """Loads the export in a fresh process, where it has to answer."""
    watch = Stopwatch()
    done = processes.run(CHECK, work.train_job())
    text = "the export answers in a fresh process"
    return timed("check", watch, text, None, peak_bytes=done.peak_bytes)


def register(work: Work, record: RunRecord) -> StepResult[ModelVersion]:
    """Registers the model as challenger.

    Args:
        work: The run's work.
        record: What is known of the run.
    """
    watch = Stopwatch()
    version = register_run(work, record)
    elsewhere = work.pipeline.registry.uri is not None
    model = ModelVersion(
        name=work.pipeline.registered_name(),
        version=version,
        registry=open_registry(work.pipeline, work.workspace).address if elsewhere else None,
    )
    return timed("register", watch, f"{model.name} version {version}, alias challenger", model)


def gate(work: Work, record: RunRecord) -> StepResult[GateRecord]:
    """Decides whether the model may become the champion; notes why beside the version.

    Args:
        work: The run's work.
        record: What is known of the run: its metrics, and those of the champion.
    """
    watch = Stopwatch()
    decision = decide(
        work.pipeline.gates(),
        record.metrics,
        record.champion_metrics,
        record.champion_problem,
        constant_metrics=record.baselines.constant,
        evaluation=read_evaluation(work.folder),
    )
    verdict = "passed" if decision.passed else "refused"
    sentence = f"{verdict}: {' '.join(decision.reasons)}"
    if record.model is not None:
        registry = open_registry(work.pipeline, work.workspace)
        registry.note_gate(record.model.name, record.model.version, sentence)
    judged = GateRecord(passed=decision.passed, reasons=tuple(decision.reasons))
    step = StepRecord(name="gate", seconds=round(watch.seconds(), 3), note=verdict)
    return StepResult("gate", sentence, judged, step)


def promote(work: Work, record: RunRecord) -> StepResult[None]:
    """Makes the run's model the champion."""
    watch = Stopwatch()
    model = record.model
    if model is None:
        raise ValueError("a model is registered before it is promoted")
    open_registry(work.pipeline, work.workspace).promote(
        model.name, model.version, Cause("gate", reason=f"run {record.run_id}")
    )
    return timed("promote", watch, f"version {model.version} is the champion", None)


def present_champion(work: Work, own: ModelVersion | None) -> RegisteredVersion | None:
    """Returns the champion to beat; a run that is judged again does not have to beat itself.

    Args:
        work: The run's work.
        own: The run's model, if it is registered.
    """
    registry = open_registry(work.pipeline, work.workspace)
    champion = registry.champion(work.pipeline.registered_name())
    if champion is not None and own is not None and champion.version == own.version:
        return None
    return champion
