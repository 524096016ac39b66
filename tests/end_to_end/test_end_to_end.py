"""The whole path with the real steps, on a small table of listings: about two minutes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from flows import templates
from flows.templates.listings.table import write_table
from tests.support.command import BRAID, kill_tree, processes_with, start, until
from tests.support.data_set import data_set
from trainer.registry.registry import ModelRegistry
from trainer.training.checkpoint import Checkpoints, Position

ROOT = Path(__file__).parents[2]
# Batches that are small enough for an epoch to be killed in.
_QUICK = (
    *("--set", "training.epochs=2", "--set", "training.batch_size=8"),
    *("--set", "gate.at_least=0.01"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("listings")
    declaration = templates.create("listings", folder / "project")
    write_table(declaration.parent / "data", rows=400)
    return declaration.parent


def braid(project: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BRAID, command, str(project / "pipeline.yaml"), *arguments],
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
    assert "the new model became the champion" in first_run.stdout
    (record,) = _records(project)
    assert record["status"] == "promoted"
    assert record["model"] == {"name": "listings", "version": "1", "registry": None}
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
    page = (folder / "report.html").read_text()
    assert all(f'id="{name}"' in page for name in ("metrics", "targets", "worst-rows", "columns"))
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


def test_every_file_of_the_workspace_is_in_the_reference(project, first_run, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs/hooks")
    from reference.workspace import is_on_page

    workspace = project / "workspace"
    files = [path.relative_to(workspace) for path in workspace.rglob("*") if path.is_file()]
    assert len(files) > 50
    assert {str(file) for file in files if not is_on_page(file.as_posix())} == set()


def test_predict_rejects_what_training_rejects_in_the_same_words(project, first_run, tmp_path):
    assert first_run.returncode == 0
    rejects = pads.dataset(project / "workspace" / "rejects").to_table().to_pylist()
    expected = {
        reject["key"]: f"{reject['column']}: {reject['reason']}"
        for reject in rejects
        if reject["column"] not in ("price", "sold_fast")  # rows to predict need no labels
    }
    assert expected
    output = tmp_path / "scores.parquet"
    arguments = ("--input", str(project / "data"), "--output", str(output))
    done = braid(project, "predict", *arguments)
    rows = pq.read_table(output).to_pylist()
    assert {row["listing_id"]: row["error"] for row in rows if row["error"]} == expected
    assert {row["listing_id"] for row in rows if row["price"] is None} == set(expected)
    assert f"{len(expected)} of them are no rows that training would take" in done.stderr
    assert all(f"  {reason}" in done.stderr for reason in expected.values())
    assert braid(project, "predict", *arguments, "--keep-invalid").returncode == 0
    kept = pq.read_table(output).to_pylist()
    assert [row["error"] for row in kept] == [row["error"] for row in rows]
    assert all(row["price"] is not None for row in kept)


def test_predictions_do_not_replace_the_rows_that_they_are_of(project, first_run):
    source = project / "data" / "day=2026-01-01" / "part-0.parquet"
    before = source.read_bytes()
    done = braid(project, "predict", "--input", str(source), "--output", str(source))
    assert done.returncode == 2
    assert "expected a file that is none of --input's" in " ".join(done.stderr.split())
    assert source.read_bytes() == before


def test_a_gate_that_is_out_of_reach_judges_the_same_model_again_and_refuses(project, first_run):
    assert first_run.returncode == 0
    done = braid(project, "run", *_QUICK, "--set", "gate.at_least=1.1")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "is not at least 1.1" in done.stdout
    (record,) = _records(project)
    assert (record["status"], record["model"]["version"]) == ("refused", "1")


class Killed:
    """A run of the same table in a workspace of its own, to be killed and started again."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self._arguments = [
            *("run", str(project / "pipeline.yaml"), "--workspace", str(self.workspace), *_QUICK),
            *("--set", "training.checkpoint_seconds=0.000001"),
        ]
        self._log = folder / "run.log"
        self._flow: subprocess.Popen[bytes] | None = None

    def start_until(self, reached: Callable[[], object]) -> None:
        self._flow = start(self._arguments, self._log)
        until(lambda: reached() or self._flow.poll() is not None, step=0.001)
        assert self._flow.poll() is None, self.told()

    def is_at(self, step: str) -> bool:
        jobs = self.files(f"runs/*/*/jobs/{step}.json")
        return any(processes_with(step, str(job)) for job in jobs)

    def kill_step(self, step: str, reached: Callable[[], object]) -> None:
        """Kills a step's process alone, at the moment when something is reached."""
        (process,) = processes_with(step, str(self.folder / "jobs" / f"{step}.json"))
        until(reached, step=0)
        os.kill(process, signal.SIGKILL)

    def lose_the_machine(self) -> None:
        kill_tree(self._flow.pid)
        self._flow.wait()

    def end(self) -> int:
        return self._flow.wait(120)

    def told(self) -> str:
        return self._log.read_text()

    @property
    def folder(self) -> Path:
        (folder,) = (self.workspace / "runs" / "listings").iterdir()
        return folder

    def record(self) -> dict:
        return json.loads((self.folder / "run.json").read_text())

    def steps(self) -> set[str]:
        files = self.workspace.glob("runs/*/*/run.json")
        return {s["name"] for file in files for s in json.loads(file.read_text())["steps"]}

    def position(self, epoch: int) -> Position | None:
        """Returns how far training is in an epoch, short of its end."""
        for folder in self.workspace.glob("runs/*/*/training"):
            position = Checkpoints(folder).position(epoch)
            return position if position and position.rows < 200 else None
        return None

    def files(self, pattern: str) -> list[Path]:
        return list(self.workspace.glob(pattern))


def test_a_run_that_is_killed_at_every_point_ends_as_the_undisturbed_one(
    project, first_run, tmp_path
):
    assert first_run.returncode == 0
    run = Killed(project, tmp_path)

    run.start_until(lambda: run.files("transforms/.tmp-*"))
    run.lose_the_machine()
    assert not run.files("transforms/*/transform.json"), "killed in the analysis"

    run.start_until(lambda: run.is_at("transform"))
    run.kill_step("transform", lambda: run.files("shards/*/*/.tmp-*.tfrecord"))
    run.lose_the_machine()
    assert run.files("shards/*/*/.tmp-*.tfrecord"), "killed in the middle of a shard"

    run.start_until(lambda: run.is_at("train"))
    run.kill_step("train", lambda: run.position(0))
    assert run.end() == 1
    assert run.position(0), "the trainer was killed in the middle of the first epoch"
    assert "resumes this run: it was killed" in run.told()
    assert "killed by signal 9 (SIGKILL)" in run.told()
    assert "Traceback" not in run.told()
    assert run.record()["status"] == "failed"

    run.start_until(lambda: run.position(1))
    run.lose_the_machine()
    assert run.position(1), "killed in the middle of the second epoch"
    assert "resumes this run: it failed" in run.told()
    assert "reuses 3 of 3 partitions" in run.told()

    run.start_until(lambda: "export" in run.steps())
    run.lose_the_machine()
    assert "register" not in run.steps(), "killed between export and registration"
    assert ModelRegistry(run.workspace).versions("listings") == ()

    run.start_until(lambda: "promote" in run.steps())
    assert run.end() == 0, run.told()
    assert data_set(run.workspace) == data_set(project / "workspace")
    assert sum(len(rows) for rows in data_set(run.workspace).values()) >= 400
    record, (undisturbed,) = run.record(), _records(project)
    assert record["metrics"] == undisturbed["metrics"], "the models are the same"
    assert _history(run.folder) == _history(next((project / "workspace/runs/listings").iterdir()))
    (version,) = ModelRegistry(run.workspace).versions("listings")
    assert set(version.aliases) == {"champion", "challenger"}
    assert not (run.folder / "training").exists()
    assert not run.files("**/.tmp-*")


def _history(run: Path) -> list[tuple[int, float, float]]:
    epochs = json.loads((run / "history.json").read_text())["epochs"]
    return [(each["epoch"], each["loss"], each["validation_loss"]) for each in epochs]
