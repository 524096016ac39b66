"""A training that begins while later partitions are being transformed: about two minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.early_training import HELD, LOG, THEN

pytestmark = pytest.mark.slow

ROWS, DAYS = 60, 3  # rows of a day
_ENDED = (0, 3)  # what is learnt in which order counts here, and not whether the gate likes it
DECLARATION = {
    "name": "days",
    "source": {"path": "data", "key": "id", "partition_by": "day"},
    "features": {"row": {"kind": "numeric", "scale": "none"}, "area": {"kind": "numeric"}},
    "targets": {"price": {"kind": "numeric"}},
    "training": {
        "start": "streaming",
        "epochs": 2,
        "batch_size": 8,
        "checkpoint_seconds": 1e-6,
        "learning_rate": 1e-4,
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("days")
    for day in range(DAYS):
        path = folder / "data" / f"day={day}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        rows = range(day * ROWS, (day + 1) * ROWS)
        columns = {
            "id": [f"r{row}" for row in rows],
            "row": [float(row) for row in rows],
            "area": [float(row % 7) for row in rows],
            "price": [2.0 * (row % 7) + 1 for row in rows],
        }
        pq.write_table(pa.table(columns), path)
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    return folder


class Run:
    """Runs of the table in a workspace of their own."""

    def __init__(self, project: Path, name: str) -> None:
        self._project = project
        self._name = name
        self._attempts = 0

    def go(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs once; the batches of this attempt are logged apart from those of others."""
        self._attempts += 1
        command = ["run", str(self._project / "pipeline.yaml"), "--workspace", str(self.workspace)]
        command += options
        root = str(Path(__file__).parents[2])
        return subprocess.run(
            [sys.executable, "-m", "tests.support.early_training", *command],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=root,
            env=os.environ | {"PYTHONPATH": root, LOG: str(self._log())} | variables,
        )

    @property
    def workspace(self) -> Path:
        return self._project / self._name

    def _log(self) -> Path:
        return self._project / f"{self._name}-{self._attempts}.log"

    def learnt(self) -> list[list[float]]:
        """Returns the keys of every batch of the last attempt."""
        return [json.loads(line) for line in self._log().read_text().splitlines()]

    def record(self) -> dict:
        (file,) = self.workspace.glob("runs/days/*/run.json")
        return json.loads(file.read_text())

    def losses(self) -> list[tuple[float, float]]:
        (file,) = self.workspace.glob("runs/days/*/history.json")
        epochs = json.loads(file.read_text())["epochs"]
        return [(epoch["loss"], epoch["validation_loss"]) for epoch in epochs]


@pytest.fixture(scope="module")
def held(project) -> Run:
    """A run whose last partition is committed once all others are learnt."""
    run = Run(project, "held")
    done = run.go(**{HELD: "last"})
    assert done.returncode in _ENDED, done.stdout + done.stderr
    return run


def _day(row: float) -> int:
    return int(row) // ROWS


def test_the_first_epoch_learns_what_is_committed_while_the_rest_is_transformed(held):
    record = held.record()
    assert record["training"]["transform_wait_seconds"] > 0
    (train,) = [step for step in record["steps"] if step["name"] == "train"]
    assert 0 < train["beside"] < train["seconds"]
    assert train["rows"] == record["rows"]["train"]
    assert "s for the transform" in train["note"]


def test_the_first_epoch_has_every_training_row_once_in_the_order_of_the_partitions(held):
    rows = held.record()["rows"]["train"]
    seen = [row for batch in held.learnt() for row in batch]
    first, second = seen[:rows], seen[rows:]
    assert len(seen) == 2 * rows
    assert [_day(row) for row in first] == sorted(map(_day, first))
    assert first != sorted(first)
    assert max(Counter(first).values()) == 1
    assert Counter(first) == Counter(second)
    assert [_day(row) for row in second] != sorted(map(_day, second)), "all rows are mixed"


def test_a_transform_that_dies_ends_the_training_and_the_next_run_goes_on(project, held):
    run = Run(project, "died")
    died = run.go(**{HELD: "last", THEN: "die"})
    told = died.stdout + died.stderr
    assert died.returncode == 1, told
    assert "Error transform" in told
    assert "killed by signal 9" in told
    assert "Traceback" not in told
    assert run.record()["status"] == "failed"
    before = run.learnt()

    again = run.go()
    assert again.returncode in _ENDED, again.stdout + again.stderr
    assert "resumes this run: it failed" in again.stdout
    # All that was learnt had its checkpoint: the transform died after that.
    assert [*before, *run.learnt()] == held.learnt()
    assert run.losses() == held.losses()
    assert run.record()["metrics"] == held.record()["metrics"]


def test_a_training_that_fails_ends_the_transform_and_what_is_committed_stays(project, held):
    run = Run(project, "failed")
    failed = run.go("--set", "training.learning_rate=1.0e+30", **{HELD: "last"})
    told = failed.stdout + failed.stderr
    assert failed.returncode == 1, told
    assert "Set a lower training.learning_rate" in told
    assert "a stop" not in told
    assert run.record()["error"]["received"] in ("nan", "inf")
    assert len(list(run.workspace.glob("shards/*/*/manifest.json"))) == DAYS - 1
