"""`braid predict` into a folder, by the public command and a real model."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from flows.prediction.predict import score_table
from tests.flows.conftest import Project
from tests.support.command import BRAID, start, until
from tests.support.job_server import job_server
from tests.trainer.world import DECLARATION, raw_rows
from trainer.export.serving import load

DAYS, ROWS = 60, 5
COLUMNS = ("color", "unit price", "sizes", "band", "review", "photo")


def table_of(folder: Path, days: int) -> Path:
    """Writes days of rows; the second of each day has a picture that cannot be decoded."""
    for day in range(days):
        rows = raw_rows(range(day * ROWS, (day + 1) * ROWS))
        columns = {name: rows[name].tolist() for name in COLUMNS}
        for name in ("color", "review"):
            columns[name] = [value.decode() or None for value in columns[name]]
        columns["unit price"] = [None if np.isnan(v) else v for v in columns["unit price"]]
        columns["photo"][1] = b"no picture"
        columns["id"] = [f"{day}-{number}" for number in range(ROWS)]
        path = folder / f"day=2026-01-{day:03d}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(columns), path)
    return folder


def declared(project: Project, folder: Path, **changes: Any) -> list[str]:
    """Returns the arguments that name a declaration of a partitioned table for the tiny model."""
    source = DECLARATION["source"] | {"partition_by": "day"}
    declaration = folder / "pipeline.yaml"
    declaration.write_text(yaml.safe_dump(DECLARATION | {"source": source} | changes))
    workspace = project.declaration.parent / "workspace"
    return [str(declaration), "--workspace", str(workspace), "--version", "1"]


def by_id(path: Path) -> list[dict[str, Any]]:
    """Returns the predictions of a file or of a folder, as a batch of any size has them."""
    rows = sorted(pq.read_table(path).to_pylist(), key=lambda row: row["id"])
    return [{name: _rounded(v) for name, v in row.items() if name != "day"} for row in rows]


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 3) if isinstance(value, float) else value


def in_one_file(project: Project, table: Path, output: Path) -> list[dict[str, Any]]:
    """Returns the predictions as the way into one file gives them."""
    registered = project.registry.find("tiny", alias="champion", version="1")
    model = load(project.registry.export_folder(registered))
    score_table(model, table, output, lambda _: None)
    return by_id(output)


@pytest.mark.slow
def test_a_killed_scoring_goes_on_and_a_followed_one_ends_with_the_code_of_its_signal(
    project, tmp_path
):
    table = table_of(tmp_path / "data", DAYS)
    output, log = tmp_path / "scores", tmp_path / "log"
    command = ["predict", *declared(project, tmp_path), "--input", str(table)]
    command += ["--output", f"{output}/", "--follow", "0.2"]
    killed = start(command, log)
    until(lambda: list(output.glob("day=*/*.parquet")) or killed.poll() is not None, step=0.001)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = {path: path.stat().st_mtime_ns for path in output.glob("day=*/*.parquet")}
    left = DAYS - len(list(output.glob("_braid/partitions/*/*/done.json")))
    assert 0 < len(before) < DAYS, log.read_text()

    process = start(command, log)
    until(lambda: log.read_text().count(" in error") == left, told=log.read_text)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert "Stopped. Running the same command again resumes." in log.read_text()
    after = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}
    assert before.items() <= after.items()
    assert by_id(output) == in_one_file(project, table, tmp_path / "all.parquet")
    assert sum(row["error"] == "photo: undecodable_image" for row in by_id(output)) == DAYS


@pytest.mark.runners
def test_a_runner_s_workers_score_the_same(project, tmp_path):
    table = table_of(tmp_path / "data", 3)
    torn = table / "day=2026-01-001" / "torn.parquet"
    torn.write_bytes(b"torn")
    output = tmp_path / "scores"
    with job_server(tmp_path) as server:
        beam = {"runner": "PortableRunner", "options": server.options(parallelism=2)}
        arguments = [*declared(project, tmp_path, beam=beam), "--input", str(table)]
        command = [*BRAID, "predict", *arguments, "--output", f"{output}/"]
        first = subprocess.run(command, capture_output=True, text=True, check=False)
        torn.unlink()
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "torn.parquet: expected a whole Parquet file" in first.stdout
    assert f"{2 * ROWS} rows of 2 partitions" in first.stdout
    assert second.returncode == 0, second.stdout + second.stderr
    assert f"{ROWS} rows of 1 partition " in second.stdout
    assert "2 were done before" in second.stdout
    assert by_id(output) == in_one_file(project, table, tmp_path / "all.parquet")
    workspace = project.declaration.parent / "workspace"
    assert list((workspace / "beam").iterdir()) == []
