"""The steps of a run after the shards, as plain functions that Prefect tasks wrap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.console.progress import summary
from flows.records.record import GateRecord, ModelVersion, StepRecord
from flows.sessions.session import Session, Stopwatch
from flows.steps.registration import open_registry, register_run
from trainer.registry.gate import decide
from trainer.registry.history import Cause
from trainer.registry.registry import RegisteredVersion
from transforms.contract.steps.evaluation import EvaluationResult, read_evaluation
from transforms.contract.steps.jobs import WarmStart


def train(session: Session) -> None:
    """Trains the model; a run that was interrupted goes on from its last checkpoint."""
    if session.was_done("train"):
        return
    watch = Stopwatch()
    job = session.train_job(warm_start=_warm_start(session))
    result = session.run_child("trainer", "train", job)
    note = f"{result['epochs']} epochs, the best is {result['best_epoch']}; {result['recipe']}"
    note += f"; waited {result['input_wait_share']:.0%} of the time for data"
    if result["transform_wait_seconds"] > 0:
        note += f" and {result['transform_wait_seconds']:.0f} s for the transform"
    if result["loss_weights"]:
        weights = (f"{name} {weight:.3g}" for name, weight in result["loss_weights"].items())
        note += f"; learnt loss weights: {', '.join(weights)}"
    if session.pipeline.training.warm_start is not None:
        note += f"; {warm_start_note(result.get('warm_start'))}"
    step = StepRecord(
        name="train",
        seconds=round(watch.seconds(), 3),
        rows=result["rows"],
        rows_per_second=round(result["rows_per_second"], 1),
        note=note,
    )
    rate = f"{result['rows_per_second']:,.0f} rows/s"
    with session.recording:
        session.record.warnings = [*_column_warnings(session), *result.pop("warnings", [])]
        session.record.training = result
        # A new model has yet to be exported and judged, whatever an earlier attempt had done.
        session.record.forget_steps("export", "evaluate", "check", "register", "gate", "promote")
        session.finish(step, f"{summary(None, watch.seconds())} · {rate} · {note}")


def _column_warnings(session: Session) -> list[str]:
    """Returns what the analysis found odd about the columns that the model reads."""
    manifest = session.workspace.read_transform(session.transform)
    if manifest is None:
        return []
    used = session.pipeline.modelled().features
    return [warning for name, warning in manifest.warnings.items() if name in used]


def _warm_start(session: Session) -> WarmStart | None:
    """Returns what the training is to begin with; a run that is resumed keeps to its version."""
    if session.pipeline.training.warm_start is None:
        return None
    registry = open_registry(session.pipeline, session.workspace)
    name, known = session.pipeline.registered_name(), session.record.warm_start
    version = registry.find(name, version=known) if known else None
    version = version or registry.champion(name)
    if version is None:
        return None
    session.record.warm_start = version.version
    session.save()
    return WarmStart(version=version.version, folder=str(registry.export_folder(version)))


def warm_start_note(started: Mapping[str, Any] | None) -> str:
    """Returns what a training with a warm start began with, in words.

    Args:
        started: What the training told of it; None if there was no champion.
    """
    if started is None:
        return "no champion to start from"
    parts = [f"{started['carried']} of {started['weights']} variables"]
    parts += [
        f"{known:,} of {count:,} terms of {name}"
        for name, (known, count) in started["terms"].items()
        if known < count
    ]
    return f"warm start from version {started['version']}: {'; '.join(parts)}"


def export(session: Session) -> None:
    """Joins transform graph and model in one SavedModel."""
    if session.was_done("export"):
        return
    watch = Stopwatch()
    result = session.run_child("trainer", "export", session.train_job())
    _finish(session, "export", watch, f"{result['bytes'] / 1e6:.1f} MB")


def evaluate(session: Session) -> None:
    """Scores the new model, the baselines and the present champion on the same test rows."""
    record = session.record
    champion = present_champion(session)
    compared_with = None if champion is None else champion.version
    earlier = read_evaluation(session.folder)
    told = earlier is None or earlier.declared == session.pipeline.evaluation
    if told and record.compared_with == compared_with and session.was_done("evaluate"):
        return
    watch = Stopwatch()
    registry = open_registry(session.pipeline, session.workspace)
    job = session.train_job(None if champion is None else registry.export_folder(champion))
    returned = session.run_child("trainer", "evaluate", job)
    result = EvaluationResult.model_validate(returned, strict=False)
    record.metrics = result.metrics
    record.baselines = result.baselines
    record.champion_metrics = result.champion_metrics
    record.champion_problem = result.champion_problem
    record.parity = result.parity
    record.warnings = list(dict.fromkeys([*record.warnings, *result.warnings]))
    record.compared_with = compared_with
    record.forget_steps("gate")
    text = f"{result.rows:,} rows"
    if champion is not None:
        text += f", beside champion version {champion.version}"
    _finish(session, "evaluate", watch, text)


def check(session: Session) -> None:
    """Loads the export in a fresh process, where it has to answer."""
    if session.was_done("check"):
        return
    watch = Stopwatch()
    session.run_child("trainer", "check", session.train_job())
    _finish(session, "check", watch, "the export answers in a fresh process")


def register(session: Session) -> None:
    """Registers the model as challenger; a run has one version, however often it is resumed."""
    if session.was_done("register"):
        return
    watch = Stopwatch()
    version = register_run(session)
    elsewhere = session.pipeline.registry.uri is not None
    session.record.model = ModelVersion(
        name=session.pipeline.registered_name(),
        version=version,
        registry=open_registry(session.pipeline, session.workspace).address if elsewhere else None,
    )
    text = f"{session.record.model.name} version {version}, alias challenger"
    _finish(session, "register", watch, text)


def gate(session: Session) -> bool:
    """Decides whether the model may become the champion; records why, beside the version too."""
    watch = Stopwatch()
    record = session.record
    decision = decide(
        session.pipeline.gates(),
        record.metrics,
        record.champion_metrics,
        record.champion_problem,
        constant_metrics=record.baselines.constant,
        evaluation=read_evaluation(session.folder),
    )
    record.gate = GateRecord(passed=decision.passed, reasons=tuple(decision.reasons))
    verdict = "passed" if decision.passed else "refused"
    sentence = f"{verdict}: {' '.join(decision.reasons)}"
    if record.model is not None:
        registry = open_registry(session.pipeline, session.workspace)
        registry.note_gate(record.model.name, record.model.version, sentence)
    step = StepRecord(name="gate", seconds=round(watch.seconds(), 3), note=verdict)
    session.finish(step, sentence)
    return record.gate.passed


def promote(session: Session) -> None:
    """Makes the model the champion."""
    watch = Stopwatch()
    model = session.record.model
    if model is None:
        raise ValueError("a model is registered before it is promoted")
    open_registry(session.pipeline, session.workspace).promote(
        model.name, model.version, Cause("gate", reason=f"run {session.record.run_id}")
    )
    _finish(session, "promote", watch, f"version {model.version} is the champion")


def present_champion(session: Session) -> RegisteredVersion | None:
    """Returns the champion to beat; a run that is judged again does not have to beat itself."""
    registry = open_registry(session.pipeline, session.workspace)
    champion = registry.champion(session.pipeline.registered_name())
    own = session.record.model
    if champion is not None and own is not None and champion.version == own.version:
        return None
    return champion


def _finish(session: Session, name: str, watch: Stopwatch, text: str) -> None:
    step = StepRecord(name=name, seconds=round(watch.seconds(), 3), note=text)
    session.finish(step, f"{watch.seconds():.1f} s · {text}")
