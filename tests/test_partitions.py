"""Days that are added, corrected and taken away between two runs: about two minutes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from trainer.registry import ModelRegistry

_BRAID = [sys.executable, "-c", "from flows.cli import main; main()"]


def braid(project: Path, command: str) -> str:
    done = subprocess.run(
        [*_BRAID, command, str(project / "pipeline.yaml")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _write_day(project: Path, day: int, rows: int) -> Path:
    path = project / "data" / f"2026/01/{day:02d}" / "rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    areas = [float(row % 7) for row in range(rows)]
    columns = {
        "id": [f"{day}-{row}" for row in range(rows)],
        "area": areas,
        "price": [2 * area + 1 for area in areas],
    }
    pq.write_table(pa.table(columns), path)
    return path


def _newest_record(project: Path) -> dict:
    file = sorted((project / "workspace" / "runs" / "days").glob("*/run.json"))[-1]
    return json.loads(file.read_text())


def _shard_folders(project: Path) -> list[str]:
    found = (project / "workspace" / "shards").glob("*/*/manifest.json")
    return sorted(path.parent.name.partition("@")[0] for path in found)


def _rows_of(project: Path) -> dict[str, int]:
    found = (project / "workspace" / "shards").glob("*/*/manifest.json")
    manifests = [json.loads(path.read_text()) for path in found]
    return {manifest["partition"]: manifest["rows"] for manifest in manifests}


def test_the_data_set_follows_the_source_and_the_newest_days_train(tmp_path):
    for day in (1, 2, 3):
        _write_day(tmp_path, day, 100)
    document = {
        "name": "days",
        "source": {"path": "data", "key": "id", "partition_by": {"path_date": "%Y/%m/%d"}},
        "features": {"area": {"kind": "numeric"}},
        "targets": {"price": {"kind": "numeric"}},
        "training": {"epochs": 1, "partitions": {"last": 2}},
        "transform": {"refit": "never"},
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(document))
    braid(tmp_path, "run")
    first = _newest_record(tmp_path)
    assert first["source_rows"] == 200, "the last two of three days"
    assert _shard_folders(tmp_path) == ["2026-01-01", "2026-01-02", "2026-01-03"]

    _write_day(tmp_path, 3, 90)  # ten rows were deleted
    _write_day(tmp_path, 4, 100)
    shutil.rmtree(tmp_path / "data" / "2026" / "01" / "01")
    told = " ".join(braid(tmp_path, "status").split())
    assert "transforms 1 new, 1 changed of 3 partitions" in told
    assert "2026-01-01 gone from the source" in told

    output = braid(tmp_path, "run")
    assert "reuses 1 of 3 partitions" in output
    assert "removed the shards of 2 partition(s)" in output
    second = _newest_record(tmp_path)
    assert second["transform"] == first["transform"]
    assert second["source_rows"] == sum(second["rows"].values()) == 190
    steps = {step["name"]: step for step in second["steps"]}
    assert steps["transform"]["rows"] == 190
    assert steps["train"]["rows"] == second["rows"]["train"]
    assert _rows_of(tmp_path) == {"2026-01-02": 100, "2026-01-03": 90, "2026-01-04": 100}
    assert _shard_folders(tmp_path) == ["2026-01-02", "2026-01-03", "2026-01-04"]

    version = ModelRegistry(tmp_path / "workspace").versions("days")[0]
    assert version.tags["braid.partitions"] == "2"
    assert version.tags["braid.first_partition"] == "2026-01-03"
    assert version.tags["braid.last_partition"] == "2026-01-04"
    told = braid(tmp_path, "status")
    assert f"A run does nothing: nothing is new since run {second['run_id']}." in told
    assert "gone" not in told
