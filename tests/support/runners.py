"""A small table of mixed columns through the two Beam steps, and the files that they write."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.jobs import transform_job
from tests.transforms.pictures import encoded
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.transform import BeamSpec
from transforms.contract.fingerprint import checksum
from transforms.shards.transform import transform

ROOT = Path(__file__).parents[2]
LISTINGS = ROOT / "flows" / "templates" / "listings" / "pipeline.yaml"
WORKERS = 2
IN_PROCESS = BeamSpec(options={"direct_num_workers": WORKERS})
# Workers as processes, by the script that a Flink cluster has, with this checkout.
PROCESS = {
    "environment_type": "PROCESS",
    "environment_config": json.dumps({"command": str(ROOT / "infra" / "flink" / "worker.sh")}),
}
FLINK_WORKER = {"BRAID_PYTHON": sys.executable, "BRAID_CHECKOUT": str(ROOT)}
_COMPARED = ("statistics", "transforms", "rejects", "shards")
# TensorFlow's: functions have names by a counter of the process, and this is a hash of it.
_UNLIKE = {"saved_model.pb", "fingerprint.pb"}


def write_listings(folder: Path) -> Path:
    """Writes two days of 60 flats in three row groups each; one flat a day has no picture."""
    for day in (1, 2):
        path = folder / "data" / f"day=2026-01-0{day}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        flats = [_flat(day, number) for number in range(60)]
        pq.write_table(pa.Table.from_pylist(flats), path, row_group_size=20)
    shutil.copy(LISTINGS, folder)
    return folder / LISTINGS.name


def _flat(day: int, number: int) -> dict[str, object]:
    return {
        "listing_id": f"{day}-{number}",
        "city": ("Berlin", "Genoa", "Porto")[number % 3],
        "area": 30.0 + number,
        "floor": None if number % 7 == 0 else number % 5,
        "description": ("bright and quiet", "dark flat near the station")[number % 2],
        "photo": None if number == 31 else encoded(("PNG", "JPEG")[number % 2]),
        "sold_fast": number % 2,
        "price": 100.0 + 7 * number,
    }


def run(table: Path, name: str, beam: BeamSpec) -> None:
    """Analyzes and transforms a table, in a workspace of that name beside it."""
    pipeline = load(table).model_copy(update={"beam": beam})
    job = transform_job(pipeline, table.parent / name)
    analyze(job.model_dump_json())
    transform(job.model_dump_json())


def files(table: Path, name: str) -> dict[str, str]:
    """Returns the checksum of every file, by its path in the workspace."""
    root = table.parent / name
    there = (path for folder in _COMPARED for path in (root / folder).rglob("*"))
    return {
        str(path.relative_to(root)): checksum(path)
        for path in there
        if path.is_file() and path.name not in _UNLIKE
    }
