from __future__ import annotations

from types import SimpleNamespace

from flows.orchestration import run_steps
from flows.orchestration.run_steps import Run
from flows.process.child import Done
from flows.records.record import read_record
from flows.steps import model_steps
from flows.steps.processes import Processes
from tests.support.runs import run_of
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.baselines import Baselines
from transforms.contract.steps.evaluation import EvaluationResult
from transforms.contract.steps.jobs import WarmStart
from transforms.contract.steps.results import TrainResult
from transforms.contract.workspace.layout import Workspace


def _run(workspace: Workspace, training=None, **gate) -> Run:
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
    return run_of(pipeline, workspace)


def test_a_champion_that_could_not_be_scored_is_recorded_and_stays(tmp_path, monkeypatch):
    champion = RegisteredVersion("flats", "1", "r0", "", 0)
    registry = SimpleNamespace(champion=lambda _: champion, export_folder=lambda _: tmp_path)
    monkeypatch.setattr(model_steps, "open_registry", lambda *_: registry)
    run = _run(Workspace(tmp_path))
    result = EvaluationResult(
        metrics={"test_sold_auc": 0.9},
        baselines=Baselines(constant={"test_sold_auc": 0.5}),
        champion_problem="it takes the column 'rooms', which no feature reads",
        rows=10,
    )
    monkeypatch.setattr(Processes, "run", lambda *_: Done(result))
    run_steps.evaluate(run)
    assert not run_steps.gate(run)
    record = read_record(run.log.folder)
    assert record.champion_problem == result.champion_problem
    assert result.champion_problem in record.gate.reasons[0]

    without = _run(Workspace(tmp_path), compare=False)
    assert without.log.record.run_id == run.log.record.run_id
    assert run_steps.gate(without)


def test_a_model_that_is_no_better_than_the_constant_answer_is_refused(tmp_path, monkeypatch):
    registry = SimpleNamespace(champion=lambda _: None)
    monkeypatch.setattr(model_steps, "open_registry", lambda *_: registry)
    run = _run(Workspace(tmp_path), compare=False)
    answers = Baselines(constant={"test_sold_auc": 0.5}, linear={"test_sold_auc": 0.8})
    result = EvaluationResult(metrics={"test_sold_auc": 0.5}, baselines=answers, rows=10)
    monkeypatch.setattr(Processes, "run", lambda *_: Done(result))
    run_steps.evaluate(run)
    assert not run_steps.gate(run)
    record = read_record(run.log.folder)
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
    """Returns the jobs of a training step and its run."""
    monkeypatch.setattr(model_steps, "open_registry", lambda *_: registry)
    run = _run(Workspace(tmp_path), training=training)
    jobs = []
    result = Done(TrainResult(**told))
    monkeypatch.setattr(Processes, "run", lambda *call: jobs.append(call[-1]) or result)
    run_steps.train(run)
    return jobs, run


def test_a_training_begins_with_the_champion_and_says_what_it_took(tmp_path, monkeypatch):
    registry = SimpleNamespace(
        champion=lambda _: RegisteredVersion("flats", "3", "r0", "", 0),
        export_folder=lambda version: tmp_path / version.version,
    )
    (job,), run = _training(tmp_path, monkeypatch, registry, TOLD, warm_start="champion")
    assert job.warm_start == WarmStart(version="3", folder=str(tmp_path / "3"))
    record = read_record(run.log.folder)
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
    _, run = _training(tmp_path, monkeypatch, None, told)
    # The model of this pipeline reads no rooms.
    assert run.log.record.warnings == ["Feature 'area' is constant.", "Slow."]


def test_a_resumed_training_keeps_to_the_version_that_it_began_with(tmp_path, monkeypatch):
    versions = {v: RegisteredVersion("flats", v, "r0", "", 0) for v in ("3", "4")}
    registry = SimpleNamespace(
        champion=lambda _: versions["3"],
        find=lambda _, version: versions[version],
        export_folder=lambda version: tmp_path / version.version,
    )
    _, run = _training(tmp_path, monkeypatch, registry, TOLD, warm_start="champion")
    with run.log.recording() as record:
        record.forget_steps("train")
    registry.champion = lambda _: versions["4"]
    (job,), again = _training(tmp_path, monkeypatch, registry, TOLD, warm_start="champion")
    assert again.log.record.run_id == run.log.record.run_id
    assert job.warm_start.version == "3"


def test_without_a_champion_a_training_begins_at_random_and_says_so(tmp_path, monkeypatch):
    registry = SimpleNamespace(champion=lambda _: None)
    told = {name: value for name, value in TOLD.items() if name != "warm_start"}
    (job,), run = _training(tmp_path, monkeypatch, registry, told, warm_start="champion")
    assert job.warm_start is None
    assert run.log.record.step("train").note.endswith("; no champion to start from")


def test_no_registry_is_asked_where_no_warm_start_is_declared(tmp_path, monkeypatch):
    told = {name: value for name, value in TOLD.items() if name != "warm_start"}
    (job,), run = _training(tmp_path, monkeypatch, None, told)
    assert job.warm_start is None
    assert (
        run.log.record.step("train").note
        == "2 epochs, the best is 1; batch 16, up to 10 steps; because 80 rows; "
        "waited 4% of the time for data"
    )
    assert run.log.record.warm_start is None
