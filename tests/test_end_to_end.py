"""The whole path with the real steps, on a small table of listings: about two minutes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows import templates
from flows.templates.listings.table import write_table

_BRAID = [sys.executable, "-c", "from flows.cli import main; main()"]
_QUICK = ("--set", "training.epochs=2", "--set", "gate.at_least=0.01")
# Long enough to be killed in twice, as checkpoints come every epoch, and short enough to end.
_EPOCHS = 60
_LONG = (
    *("--set", f"training.epochs={_EPOCHS}"),
    *("--set", f"training.early_stopping_patience={_EPOCHS}"),
    *("--set", "name=killed"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("listings")
    declaration = templates.create("listings", folder / "project")
    write_table(declaration.parent / "data", rows=400)
    return declaration.parent


def braid(project: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_BRAID, command, str(project / "pipeline.yaml"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _records(project: Path) -> list[dict]:
    files = sorted((project / "workspace" / "runs" / "listings").glob("*/run.json"))
    return [json.loads(file.read_text()) for file in files]


@pytest.fixture(scope="module")
def first_run(project) -> subprocess.CompletedProcess[str]:
    return braid(project, "run", *_QUICK)


def test_a_table_becomes_a_registered_champion(project, first_run):
    assert first_run.returncode == 0, first_run.stdout + first_run.stderr
    assert "the new model is the champion" in first_run.stdout
    (record,) = _records(project)
    assert record["status"] == "promoted"
    assert record["model"] == {"name": "listings", "version": "1"}
    assert record["source_rows"] == 400
    assert sum(record["rows"].values()) == 396
    assert sum(reject["rows"] for reject in record["rejects"]) == 4
    assert {"test_sold_fast_auc", "test_price_mae", "validation_loss"} <= set(record["metrics"])
    assert record["parity"] < 1e-4
    steps = {step["name"]: step for step in record["steps"]}
    assert {"analyze", "transform", "train", "export", "evaluate", "check", "register"} <= set(
        steps
    )
    assert steps["transform"]["rows_per_second"] > 0


def test_prefect_names_flow_and_tasks_by_their_partitions(project, first_run):
    assert first_run.returncode == 0
    with closing(sqlite3.connect(Path(os.environ["PREFECT_HOME"]) / "prefect.db")) as database:
        flows = [name for (name,) in database.execute("select name from flow_run")]
        tasks = [name for (name,) in database.execute("select name from task_run")]
    span = "listings, day=2026-01-01 to day=2026-01-03 (3 partitions)"
    assert any(name.startswith(f"{span}, 20") for name in flows)
    assert f"train: {span}" in tasks


def test_the_run_folder_has_the_report_and_nothing_half_written(project, first_run):
    assert first_run.returncode == 0
    (folder,) = (project / "workspace" / "runs" / "listings").iterdir()
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "champion" in (folder / "summary.md").read_text()
    assert not (folder / "training").exists()
    assert list((project / "workspace").rglob(".tmp-*")) == []


def test_a_second_run_finds_nothing_new_without_starting_anything(project, first_run):
    assert first_run.returncode == 0
    logs = list((project / "workspace").rglob("logs/*"))
    again = braid(project, "run", *_QUICK)
    assert list((project / "workspace").rglob("logs/*")) == logs
    assert again.returncode == 0
    assert "Nothing is new since run" in again.stdout
    assert len(_records(project)) == 1


def test_models_and_runs_are_listed(project, first_run):
    assert first_run.returncode == 0
    assert "champion" in braid(project, "models").stdout
    assert "promoted" in braid(project, "runs").stdout


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv"])
def test_predict_gives_every_row_a_prediction_or_a_reason(project, first_run, tmp_path, name):
    assert first_run.returncode == 0
    source = project / "data" / "day=2026-01-01" / "part-0.parquet"
    output = tmp_path / name
    done = braid(project, "predict", "--input", str(source), "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith(".csv"):
        assert len(output.read_text().splitlines()) == pq.read_table(source).num_rows + 1
        return
    rows = pq.read_table(output).to_pylist()
    assert [row["listing_id"] for row in rows] == pq.read_table(source)["listing_id"].to_pylist()
    assert all((row["error"] is None) == (row["price"] is not None) for row in rows)


def test_a_gate_that_is_out_of_reach_judges_the_same_model_again_and_refuses(project, first_run):
    assert first_run.returncode == 0
    done = braid(project, "run", "--set", "training.epochs=2", "--set", "gate.at_least=1.1")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "is not at least 1.1" in done.stdout
    (record,) = _records(project)
    assert (record["status"], record["model"]["version"]) == ("refused", "1")


def _start(project: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            [*_BRAID, "run", str(project / "pipeline.yaml"), *_LONG],
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def _trainer_of(run: Path) -> int:
    """Returns the process that trains a run."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"train" in words and str(run / "jobs" / "train.json").encode() in words:
            return int(folder.name)
    raise AssertionError("no process trains")


def test_killed_processes_are_resumed_where_they_stopped(project, first_run, tmp_path):
    assert first_run.returncode == 0
    runs = project / "workspace" / "runs" / "killed"
    flow = _start(project, tmp_path / "first.log")
    until = time.monotonic() + 120
    while not list(runs.glob("*/training/state.json")):
        assert time.monotonic() < until, (tmp_path / "first.log").read_text()
        assert flow.poll() is None, (tmp_path / "first.log").read_text()
        time.sleep(0.1)
    (run,) = runs.iterdir()
    flow.send_signal(signal.SIGKILL)
    flow.wait()
    epochs = json.loads((run / "training" / "state.json").read_text())["epochs"]

    flow = _start(project, tmp_path / "second.log")
    until = time.monotonic() + 120
    while json.loads((run / "training" / "state.json").read_text())["epochs"] <= epochs + 1:
        assert time.monotonic() < until, (tmp_path / "second.log").read_text()
        time.sleep(0.05)
    os.kill(_trainer_of(run), signal.SIGKILL)
    assert flow.wait(60) == 1
    before = json.loads((run / "training" / "state.json").read_text())["history"]
    assert epochs < len(before) < _EPOCHS
    text = (tmp_path / "second.log").read_text()
    assert "resumes this run: it was killed" in text
    assert "is committed" in text
    assert "reuses 3 of 3 partitions" in text
    assert "killed by signal 9 (SIGKILL)" in text
    assert "Traceback" not in text
    assert [path.name for path in runs.iterdir()] == [run.name]
    assert json.loads((run / "run.json").read_text())["status"] == "failed"

    done = braid(project, "run", *_LONG)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "resumes this run: it failed" in done.stdout
    assert [path.name for path in runs.iterdir()] == [run.name]
    record = json.loads((run / "run.json").read_text())
    assert record["status"] in ("promoted", "refused")
    assert record["metrics"].keys() >= {"test_loss", "validation_loss"}
    history = json.loads((run / "history.json").read_text())["epochs"]
    assert [epoch["epoch"] for epoch in history] == list(range(_EPOCHS))
    assert history[: len(before)] == before, "what was trained before the kill stands"
    assert not (run / "training").exists()
