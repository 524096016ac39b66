"""Two runs side by side, also through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.commands.cli import cli
from flows.records.record import DECLARED_FILE, write_record
from flows.report.comparison import as_result, differences, find_run, metrics
from tests.support.records import run_record
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.steps.evaluation import (
    LEVELS,
    EvaluationResult,
    MeasuredRows,
    Resampled,
)
from transforms.contract.workspace.layout import Workspace

AUC = "test_sold_auc"


def add_run(root: Path, run_id: str, auc: float, **training) -> Path:
    """Adds a run whose intervals reach 0.05 to either side."""
    folder = Workspace(root).run("flats", run_id)
    folder.mkdir(parents=True)
    metrics = {AUC: auc, "validation_sold_auc": 0.9}
    record = run_record(run_id=run_id, status="promoted", metrics=metrics)
    write_record(folder, record)
    around = Resampled(quantiles=tuple(auc + 0.1 * (level - 0.5) for level in LEVELS))
    test = MeasuredRows(rows=9, metrics={AUC: auc}, resampled={AUC: around})
    result = EvaluationResult(metrics=record.metrics, rows=9, test=test)
    (folder / "evaluation.json").write_text(result.model_dump_json())
    pipeline = parse(
        {
            "name": "flats",
            "source": {"path": "data", "key": "id"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
            "training": training,
        }
    )
    (folder / DECLARED_FILE).write_text(pipeline.model_dump_json())
    return folder


@pytest.fixture
def workspace(tmp_path):
    add_run(tmp_path, "first", 0.80, epochs=3)
    add_run(tmp_path, "second", 0.90, epochs=9)
    add_run(tmp_path, "third", 0.81)
    return Workspace(tmp_path)


def test_a_metric_is_better_only_beyond_its_interval(workspace):
    first, second, third = (find_run(workspace, name) for name in ("first", "second", "third"))
    (apart, _), (alike, _) = metrics(first, second), metrics(first, third)
    assert apart == (AUC, "0.8000 (0.7525 to 0.8475)", "0.9000 (0.8525 to 0.9475)", "second")
    assert alike[-1] == "alike"


def test_keys_that_differ_are_told_by_path(workspace):
    left, right = (find_run(workspace, name).declared for name in ("first", "second"))
    assert differences(left, right) == [("training.epochs", "3", "9")]


def test_programs_get_both_with_what_differs(workspace):
    result = as_result(find_run(workspace, "first"), find_run(workspace, "third"))
    assert result["left"].run_id == "first"
    assert result["metrics"][AUC] == {"left": 0.80, "right": 0.81, "better": "alike"}
    (epochs,) = result["declared_otherwise"]
    assert epochs == {"key": "training.epochs", "left": 3, "right": "auto"}


def test_of_a_run_that_kept_no_declaration_nothing_is_said_to_differ(workspace):
    (workspace.run("flats", "first") / DECLARED_FILE).unlink()
    command = ["compare", "first", "second", "--workspace", str(workspace.root)]
    shown = CliRunner().invoke(cli, command, catch_exceptions=False).output
    assert "No declaration is kept of first" in shown
    assert "training.epochs" not in shown


def test_a_run_is_found_by_its_folder_and_an_unknown_one_is_refused(workspace):
    folder = workspace.run("flats", "first")
    assert find_run(Workspace(Path("elsewhere")), str(folder)).record.run_id == "first"
    with pytest.raises(BraidError, match="no such run"):
        find_run(workspace, "fourth")


def test_the_command_prints_both(workspace):
    command = ["compare", "first", "second", "--workspace", str(workspace.root)]
    shown = CliRunner().invoke(cli, command, catch_exceptions=False).output
    assert "training.epochs" in shown
    assert shown.index("first") < shown.index("second")
