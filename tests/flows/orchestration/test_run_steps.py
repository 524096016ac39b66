from __future__ import annotations

from types import SimpleNamespace

import pytest

from flows.orchestration import run_steps
from flows.orchestration.run_steps import Run
from flows.process.child import Done
from flows.steps import model_steps
from flows.steps.processes import Processes
from tests.support.runs import flats, run_of, told_by
from transforms.contract.declaration.judgement.evaluation import EvaluationSpec
from transforms.contract.steps.evaluation import EVALUATION_FILE, EvaluationResult
from transforms.contract.workspace.layout import Workspace


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """A run that was evaluated, and how often it has been."""
    registry = SimpleNamespace(champion=lambda _: None)
    monkeypatch.setattr(model_steps, "open_registry", lambda *_: registry)
    pipeline = flats()
    run = run_of(pipeline, Workspace(tmp_path))
    result = EvaluationResult(metrics={}, rows=10, declared=pipeline.evaluation)
    times: list[str] = []

    def evaluate(*_: object) -> Done[EvaluationResult]:
        times.append("evaluate")
        (run.log.folder / EVALUATION_FILE).write_text(result.model_dump_json())
        return Done(result)

    monkeypatch.setattr(Processes, "run", evaluate)
    run_steps.evaluate(run)
    return run, times


def _declares(run: Run, evaluation: EvaluationSpec) -> None:
    declared = run.work.pipeline.model_copy(update={"evaluation": evaluation})
    object.__setattr__(run.work, "pipeline", declared)


def test_an_evaluation_that_is_there_is_not_made_again(evaluated):
    run, times = evaluated
    run_steps.evaluate(run)
    assert times == ["evaluate"]


def test_an_evaluation_that_is_gone_is_made_again(evaluated):
    run, times = evaluated
    (run.log.folder / EVALUATION_FILE).unlink()
    run_steps.evaluate(run)
    assert times == ["evaluate"] * 2


def test_an_evaluation_that_tells_something_else_is_made_again(evaluated):
    run, times = evaluated
    _declares(run, EvaluationSpec(slices=("area",)))
    run_steps.evaluate(run)
    assert times == ["evaluate"] * 2


def test_a_report_that_cannot_be_drawn_is_told_and_ends_no_run(evaluated):
    run, _ = evaluated
    (run.log.folder / EVALUATION_FILE).write_text("{")
    run_steps.write_reports(run)
    assert "report.html could not be written" in told_by(run)
    assert not (run.log.folder / "report.html").exists()
    assert (run.log.folder / "summary.md").read_text().startswith("# flats: ")
