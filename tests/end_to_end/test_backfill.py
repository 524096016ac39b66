"""Backfills through the public command, on a table of four small days: a few minutes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.command import BRAID, start, until
from tests.support.data_set import data_set

pytestmark = pytest.mark.slow

_ROWS = 120


def _write(project: Path, day: int) -> Path:
    path = project / "data" / f"day=2026-01-0{day}" / "a.parquet"
    path.parent.mkdir(parents=True)
    keys = range(day * 1000, day * 1000 + _ROWS)
    columns = {
        "id": [f"k{key}" for key in keys],
        "area": [None if key % 60 == 0 else float(key % 1000) for key in keys],
        "sold": [int(key % 1000 < _ROWS // 2) for key in keys],
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def project(tmp_path) -> Path:
    for day in (1, 2, 3, 4):
        _write(tmp_path, day)
    declaration = {
        "name": "flats",
        "source": {"path": "data", "key": "id", "partition_by": "day"},
        "split": {"train": 70, "validation": 15, "test": 15},
        "features": {"area": {"kind": "numeric", "missing": "reject"}},
        "targets": {"sold": {"kind": "binary"}},
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
        "gate": {"metric": "test_sold_auc", "at_least": 0.01},
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(declaration))
    return tmp_path


def _arguments(project: Path, *arguments: str) -> list[str]:
    return ["backfill", str(project / "pipeline.yaml"), *arguments]


def _backfill(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*BRAID, *_arguments(project, *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def _last_record(project: Path) -> dict:
    files = sorted((project / "workspace" / "backfills" / "flats").glob("*/backfill.json"))
    return json.loads(files[-1].read_text())


def test_a_corrupt_partition_is_reported_then_repaired_and_one_model_is_trained(project):
    corrupt = project / "data" / "day=2026-01-03" / "a.parquet"
    content = corrupt.read_bytes()
    corrupt.write_text("not a table")
    bounds = ("--from", "2026-01-01", "--to", "2026-01-04", "--workers", "2")

    first = _backfill(project, *bounds)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "4 partitions: 3 done, 1 failed" in first.stdout
    assert "a whole Parquet file" in first.stdout
    assert "Nothing was trained, as partitions failed" in first.stdout
    assert not (project / "workspace" / "runs").exists()
    assert _last_record(project)["status"] == "failed"

    corrupt.write_bytes(content)
    second = _backfill(project, *bounds)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "4 partitions: 1 done, 3 skipped" in second.stdout
    record = _last_record(project)
    assert (record["status"], record["outcome"]) == ("done", "promoted")
    assert [(p["rows"], p["rejected"]) for p in record["partitions"]] == [(_ROWS, 2)] * 4
    (run,) = (project / "workspace" / "runs" / "flats").glob("*/run.json")
    trained = json.loads(run.read_text())
    assert len(trained["partitions"]) == 4
    assert trained["source_rows"] == 4 * _ROWS
    assert trained["model"]["version"] == "1"
    with closing(sqlite3.connect(Path(os.environ["PREFECT_HOME"]) / "prefect.db")) as database:
        flows = [name for (name,) in database.execute("select name from flow_run")]
        tasks = [name for (name,) in database.execute("select name from task_run")]
    span = "day=2026-01-01 to day=2026-01-04 (4 partitions)"
    assert any(name.startswith(f"flats backfill, {span}, 20") for name in flows)
    assert "transform: flats, day=2026-01-03" in tasks

    third = _backfill(project, *bounds)
    assert third.returncode == 0
    assert "4 partitions: 4 skipped" in third.stdout
    assert "Nothing is new since run" in third.stdout
    assert len(list((project / "workspace" / "runs" / "flats").iterdir())) == 1


def test_two_backfills_at_once_do_the_work_once_and_killed_ones_are_gone_on_with(project):
    """Killed in the middle of a partition, then between two; the data set is the undisturbed."""
    _backfill(project, "--train", "none", "--workspace", str(project / "undisturbed"))
    shards = project / "workspace" / "shards"
    options = ("--train", "none", "--workers", "1")
    arguments = _arguments(project, *options)

    log = project / "first.log"
    flow = start(arguments, log)
    until(lambda: list(shards.glob("*/*/units/plan.json")), told=log.read_text)
    assert not list(shards.glob("*/*/manifest.json")), "killed in the middle of the first"
    refused = _backfill(project, *options)
    assert refused.returncode == 1
    assert "no other run at the same time" in refused.stderr
    flow.kill()
    flow.wait()

    log = project / "second.log"
    flow = start(arguments, log)
    until(lambda: list(shards.glob("*/*/manifest.json")), told=log.read_text)
    flow.kill()
    flow.wait()
    assert len(list(shards.glob("*/*/manifest.json"))) < 4

    done = _backfill(project, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " skipped" in done.stdout
    assert list((project / "workspace").rglob(".tmp-*")) == []
    undisturbed = data_set(project / "undisturbed")
    assert len(undisturbed) == 4
    assert all(sum(rows.values()) >= _ROWS for rows in undisturbed.values())
    assert data_set(project / "workspace") == undisturbed
