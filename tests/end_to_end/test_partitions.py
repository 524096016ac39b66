"""Days that are added, corrected and taken away between two runs: about two minutes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.command import printed_by
from trainer.registry.registry import ModelRegistry

pytestmark = pytest.mark.slow


def braid(project: Path, command: str, *options: str) -> str:
    return printed_by(command, str(project / "pipeline.yaml"), *options)


def _write_day(
    project: Path, day: int, rows: int, *, shift: float = 0.0, colors: str = "red blue"
) -> Path:
    path = project / "data" / f"2026/01/{day:02d}" / "rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    areas = [float(row % 7) + shift for row in range(rows)]
    names = ["red", *colors.split()]
    columns = {
        "id": [f"{day}-{row}" for row in range(rows)],
        "area": areas,
        "color": [names[row // 7 % len(names)] for row in range(rows)],
        "price": [2 * area + 1 for area in areas],
    }
    pq.write_table(pa.table(columns), path)
    return path


def _newest_record(project: Path) -> dict:
    file = sorted((project / "workspace" / "runs" / "days").glob("*/run.json"))[-1]
    return json.loads(file.read_text())


def _shard_folders(project: Path) -> list[str]:
    manifests = (project / "workspace" / "shards").glob("*/*/manifest.json")
    return sorted(path.parent.name.partition("@")[0] for path in manifests)


def _rows_of(project: Path) -> dict[str, int]:
    paths = (project / "workspace" / "shards").glob("*/*/manifest.json")
    manifests = [json.loads(path.read_text()) for path in paths]
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
        "gate": {"metric": "test_price_mae", "tolerance": 1000},
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
    assert "removed the shards of 2 partitions" in output
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


def test_drift_decides_on_a_refit_which_keeps_the_ids_of_known_terms(tmp_path):
    for day in (1, 2):
        _write_day(tmp_path, day, 400)
    document = {
        "name": "days",
        "source": {"path": "data", "key": "id", "partition_by": {"path_date": "%Y/%m/%d"}},
        "features": {"area": {"kind": "numeric"}, "color": {"kind": "categorical"}},
        "targets": {"price": {"kind": "numeric"}},
        "training": {"epochs": 1},
        "gate": {"metric": "test_price_mae", "tolerance": 1000},
        "transform": {
            "refit": "when_drifted", "vocabulary": "stable", "drift": {"features": {"color": 0.2}},
        },
    }  # fmt: skip
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(document))
    braid(tmp_path, "run")
    first = _newest_record(tmp_path)
    assert first["drift"] is None

    _write_day(tmp_path, 3, 400)
    told = " ".join(braid(tmp_path, "status").split())
    assert "A run first measures the drift of 1 new partition" in told
    told = " ".join(braid(tmp_path, "status", "--measure").split())
    assert f"A run reuses transform {first['transform'][:4]}: no refit, drift 0.0" in told
    output = braid(tmp_path, "run")
    second = _newest_record(tmp_path)
    assert "measure drift" not in output, "its numbers are there"
    assert second["transform"] == first["transform"]
    assert second["drift"]["features"].keys() == {"area", "color", "price"}
    steps = {step["name"]: step for step in second["steps"]}
    assert steps["analyze"]["note"].endswith("below 0.1")
    assert steps["transform"]["rows"] == 400

    _write_day(tmp_path, 4, 400, shift=50.0, colors="violet pink violet pink violet")
    output = braid(tmp_path, "run")
    third = _newest_record(tmp_path)
    distances = third["drift"]["features"]
    assert distances["area"]["threshold"] == 0.1
    assert distances["color"]["threshold"] == 0.2
    assert min(distances[name]["distance"] for name in ("area", "color")) > 0.2
    assert "reads 1 of 2 new partitions" in output, "the third day is counted already"
    assert "reads 0 of 4 partitions" in output
    assert "removed 1 older transform," in output
    folder = tmp_path / "workspace" / "transforms" / third["transform"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert json.loads((folder / "transform.json").read_text())["base"] == first["transform"]
    terms = (folder / "statistics" / "vocabularies" / "color.txt").read_text().split()
    assert terms == ["red", "blue", "violet", "pink"]
    assert _rows_of(tmp_path) == {f"2026-01-0{day}": 400 for day in (1, 2, 3, 4)}
    run = tmp_path / "workspace" / "runs" / "days" / third["run_id"]
    assert "## Drift" in (run / "summary.md").read_text()
    assert "nothing is new since run" in braid(tmp_path, "status")
