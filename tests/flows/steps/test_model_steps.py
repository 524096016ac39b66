from __future__ import annotations

from types import SimpleNamespace

from flows.records.record import read_record
from flows.sessions.session import Session
from flows.steps import model_steps
from tests.support.sessions import session_of
from trainer.registry.registry import RegisteredVersion
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.baselines import Baselines
from transforms.contract.steps.evaluation import EvaluationResult
from transforms.contract.steps.jobs import WarmStart
from transforms.contract.steps.results import TrainResult
from transforms.contract.workspace.layout import Workspace


def _session(workspace: Workspace, training=None, **gate) -> Session:
    pipeline = parse(
        {
            "name": "flats",
            "source": {"path": "/data", "key": "id"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
            "training": training or {},
            "gate": {"metric": "test_sold_auc"} | gate,
        }
    )
    return session_of(pipeline, workspace)


def test_a_champion_that_could_not_be_scored_is_recorded_and_stays(tmp_path, monkeypatch):
    champion = RegisteredVersion("flats", "1", "r0", "", 0)
    registry = SimpleNamespace(champion=lambda _: champion, export_folder=lambda _: tmp_path)
    monkeypatch.setattr(model_steps, "open_registry", lambda *_: registry)
    session = _session(Workspace(tmp_path))
    result = EvaluationResult(
        metrics={"test_sold_auc": 0.9},
        baselines=Baselines(constant={"test_sold_auc": 0.5}),
        champion_problem="it takes the column 'rooms', which no feature reads",
        rows=10,
    )
    monkeypatch.setattr(session, "run_child", lambda *_: result)
    model_steps.evaluate(session)
    assert not model_steps.gate(session)
    record = read_record(session.folder)
    assert record.champion_problem == result.champion_problem
    assert result.champion_problem in record.gate.reasons[0]

    without = _session(Workspace(tmp_path), compare=False)
    assert without.record.run_id == session.record.run_id
    assert model_steps.gate(without)


def test_a_model_that_is_no_better_than_the_constant_answer_is_refused(tmp_path, monkeypatch):
    registry = SimpleNamespace(champion=lambda _: None)
    monkeypatch.setattr(model_steps, "open_registry", lambda *_: registry)
    session = _session(Workspace(tmp_path), compare=False)
    answers = Baselines(constant={"test_sold_auc": 0.5}, linear={"test_sold_auc": 0.8})
    result = EvaluationResult(metrics={"test_sold_auc": 0.5}, baselines=answers, rows=10)
    monkeypatch.setattr(session, "run_child", lambda *_: result)
    model_steps.evaluate(session)
    assert not model_steps.gate(session)
    record = read_record(session.folder)
    assert record.baselines == answers
    assert record.gate.reasons[0] == (
        "test_sold_auc 0.5 is not better than the constant answer's 0.5."
    )


TOLD = {
    "epochs": 2,
    "best_epoch": 1,
    "recipe": "batch 16, up to 10 steps; because 80 rows",
    "loss_weights": {},
    "rows_per_second": 10.0,
    "input_wait_share": 0.04,
    "transform_wait_seconds": 0.0,
    "rows": 80,
    "warm_start": {
        "version": "3",
        "carried": 41,
        "weights": 44,
        "fresh": ["photo/kernel"],
        "terms": {"country": [812, 830], "city": [20, 20], "genre": [4, 5]},
    },
}


def _training(tmp_path, monkeypatch, registry, told, **training):
    """Returns the jobs of a training step and its session."""
    monkeypatch.setattr(model_steps, "open_registry", lambda *_: registry)
    session = _session(Workspace(tmp_path), training=training)
    jobs = []
    monkeypatch.setattr(
        session, "run_child", lambda *call: jobs.append(call[-1]) or TrainResult(**told)
    )
    model_steps.train(session)
    return jobs, session


def test_a_training_begins_with_the_champion_and_says_what_it_took(tmp_path, monkeypatch):
    registry = SimpleNamespace(
        champion=lambda _: RegisteredVersion("flats", "3", "r0", "", 0),
        export_folder=lambda version: tmp_path / version.version,
    )
    (job,), session = _training(tmp_path, monkeypatch, registry, TOLD, warm_start="champion")
    assert job.warm_start == WarmStart(version="3", folder=str(tmp_path / "3"))
    record = read_record(session.folder)
    assert record.warm_start == "3"
    assert record.step("train").note == (
        "2 epochs, the best is 1; batch 16, up to 10 steps; because 80 rows; "
        "waited 4% of the time for data; "
        "warm start from version 3: 41 of 44 variables; 812 of 830 terms of country; "
        "4 of 5 terms of genre"
    )


def test_a_training_is_noted_with_what_the_analysis_warned_of(tmp_path, monkeypatch):
    warnings = {"area": "Feature 'area' is constant.", "rooms": "Feature 'rooms' is constant."}
    manifest = SimpleNamespace(warnings=warnings)
    monkeypatch.setattr(Workspace, "read_transform", lambda *_: manifest)
    told = {n: v for n, v in TOLD.items() if n != "warm_start"} | {"warnings": ["Slow."]}
    _, session = _training(tmp_path, monkeypatch, None, told)
    # The model of this pipeline reads no rooms.
    assert session.record.warnings == ["Feature 'area' is constant.", "Slow."]


def test_a_resumed_training_keeps_to_the_version_that_it_began_with(tmp_path, monkeypatch):
    versions = {v: RegisteredVersion("flats", v, "r0", "", 0) for v in ("3", "4")}
    registry = SimpleNamespace(
        champion=lambda _: versions["3"],
        find=lambda _, version: versions[version],
        export_folder=lambda version: tmp_path / version.version,
    )
    _, session = _training(tmp_path, monkeypatch, registry, TOLD, warm_start="champion")
    session.record.forget_steps("train")
    session.save()
    registry.champion = lambda _: versions["4"]
    (job,), again = _training(tmp_path, monkeypatch, registry, TOLD, warm_start="champion")
    assert again.record.run_id == session.record.run_id
    assert job.warm_start.version == "3"


def test_without_a_champion_a_training_begins_at_random_and_says_so(tmp_path, monkeypatch):
    registry = SimpleNamespace(champion=lambda _: None)
    told = {name: value for name, value in TOLD.items() if name != "warm_start"}
    (job,), session = _training(tmp_path, monkeypatch, registry, told, warm_start="champion")
    assert job.warm_start is None
    assert session.record.step("train").note.endswith("; no champion to start from")


def test_no_registry_is_asked_where_no_warm_start_is_declared(tmp_path, monkeypatch):
    told = {name: value for name, value in TOLD.items() if name != "warm_start"}
    (job,), session = _training(tmp_path, monkeypatch, None, told)
    assert job.warm_start is None
    assert (
        session.record.step("train").note
        == "2 epochs, the best is 1; batch 16, up to 10 steps; because 80 rows; "
        "waited 4% of the time for data"
    )
    assert session.record.warm_start is None
