"""A store in a bucket by the public commands, on moto's S3: about four minutes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.command import BRAID, kill_tree, start, until
from tests.support.s3 import needs_moto, s3_server

pytestmark = [pytest.mark.slow, needs_moto]


@pytest.fixture
def s3() -> Iterator[str]:
    """Starts an S3 with one bucket; yields the options by which a URL reaches it."""
    with s3_server() as server:
        yield server.options


def write_day(project: Path, day: int) -> None:
    path = project / "data" / f"day={day}" / "rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    areas = [float(row % 7) for row in range(200)]
    columns = {
        "id": [f"{day}-{row}" for row in range(200)],
        "area": [*areas[:-1], None],
        "price": [2 * area + 1 for area in areas],
    }
    pq.write_table(pa.table(columns), path)
    os.utime(path, (10**9, 10**9))


def project_of(folder: Path, **changes) -> Path:
    folder.mkdir()
    for day in (1, 2):
        write_day(folder, day)
    document = {
        "name": "days",
        "source": {"path": "data", "key": "id", "partition_by": "day"},
        "features": {"area": {"kind": "numeric", "missing": "reject"}},
        "targets": {"price": {"kind": "numeric"}},
        "training": {"epochs": 2},
        "gate": {"metric": "test_price_mae", "tolerance": 1000},
        "transform": {"refit": "never"},
    }
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(document | changes))
    return folder


def braid(project: Path, command: str, *options: str, code: int = 0) -> str:
    done = subprocess.run(
        [*BRAID, command, str(project / "pipeline.yaml"), *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def newest_record(project: Path) -> dict:
    file = sorted((project / "workspace" / "runs" / "days").glob("*/run.json"))[-1]
    return json.loads(file.read_text())


def test_runs_in_a_bucket_are_those_of_a_workspace_also_after_kills(tmp_path, s3):
    project = project_of(tmp_path / "stored", store=f"s3://bucket/braid?{s3}")
    filesystem, root = pafs.FileSystem.from_uri(f"s3://bucket/braid?{s3}")

    def objects(kind: str) -> list[str]:
        below = pafs.FileSelector(f"{root}/{kind}", recursive=True, allow_not_found=True)
        return [info.path for info in filesystem.get_file_info(below) if info.is_file]

    for reached in ("statistics", "shards"):
        log = tmp_path / f"{reached}.log"
        running = start(["run", str(project / "pipeline.yaml")], log)
        until(lambda kind=reached: objects(kind), seconds=300, told=log.read_text)
        kill_tree(running.pid)
        running.wait()
    braid(project, "run")
    plain = project_of(tmp_path / "plain")
    braid(plain, "run")
    stored, kept = newest_record(project), newest_record(plain)
    for field in ("rows", "metrics", "transform"):
        assert stored[field] == kept[field], field
    assert not {"shards", "transforms"} & {p.name for p in (project / "workspace").iterdir()}
    assert not objects("units")

    write_day(project, 3)
    assert "transforms 1 new of 3 partitions" in braid(project, "status")
    braid(project, "backfill", "--train", "none")
    assert len(objects("manifests")) == 3
    assert "reuses 3 of 3 partitions" in braid(project, "run")
    assert "All of it is whole." in braid(project, "check")
    (shard, *_) = (path for path in objects("shards") if "day=3" in path)
    with filesystem.open_output_stream(shard) as torn:
        torn.write(b"torn")
    assert "4 bytes, of" in braid(project, "check", code=1)
    assert "1 damaged, and removed" in braid(project, "check", "--repair")
    assert "transforms 1 new of 3 partitions" in braid(project, "status")


def test_two_workspaces_make_shards_once_and_train_on_what_either_made(tmp_path, s3):
    """Machines that share nothing but the bucket and the table: a folder each, and no lock."""
    project = project_of(tmp_path / "project", store=f"s3://bucket/braid?{s3}")
    command = ["backfill", str(project / "pipeline.yaml"), "--train", "none", "--workspace"]
    logs = {name: tmp_path / f"{name}.log" for name in "ab"}
    both = {name: start([*command, str(tmp_path / name)], log) for name, log in logs.items()}
    for name, running in both.items():
        assert running.wait(300) == 0, logs[name].read_text()
    records = [
        json.loads(next((tmp_path / name).glob("backfills/days/*/backfill.json")).read_text())
        for name in "ab"
    ]
    parts = [part for record in records for part in record["partitions"]]
    assert sum(bool(part["seconds"]) for part in parts) == 2, "each is made once"
    assert {part["rows"] for part in parts} == {200}

    braid(project, "run", "--workspace", str(tmp_path / "b"))
    record = json.loads(next((tmp_path / "b").glob("runs/days/*/run.json")).read_text())
    steps = {step["name"]: step.get("note", "") for step in record["steps"]}
    assert "is committed" in steps["analyze"]
    assert steps["transform"] == "reuses 2 of 2 partitions"


def test_a_store_that_cannot_be_is_one_sentence(tmp_path, s3):
    project = project_of(tmp_path / "nowhere", store=f"s3://nowhere/braid?{s3}")
    said = braid(project, "run", code=1)
    assert "s3://nowhere/braid/needs/" in said
    assert "NO_SUCH_BUCKET" in said
    assert "Traceback" not in said
