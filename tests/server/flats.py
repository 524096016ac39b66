"""A small pipeline for the servers: three days of flats, trained slowly enough to be killed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from trainer.training.checkpoint import Checkpoints, Position

BATCH = 8
EPOCHS = 3
DAYS = 3
_ROWS = 100
_WATCHED = Path(__file__).parent / "project" / "watched.py"


class Flats:
    """A project folder and what its run leaves in the workspace.

    Args:
        folder: Where to make it.
        name: The pipeline's name.
        mlflow: The URL of the registry's server.
    """

    def __init__(self, folder: Path, name: str, mlflow: str) -> None:
        self.folder = folder
        self.name = name
        self.declaration = folder / "pipeline.yaml"
        self.workspace = folder / "workspace"
        for day in range(1, DAYS + 1):
            _write_day(folder / "data", day)
        shutil.copy(_WATCHED, folder)
        self.declaration.write_text(yaml.safe_dump(_declaration(name, mlflow)))

    def runs(self) -> list[Path]:
        return list(self.workspace.glob(f"runs/{self.name}/*"))

    def record(self) -> dict[str, Any]:
        """Returns `run.json` of the only run."""
        (run,) = self.runs()
        return json.loads((run / "run.json").read_text())

    def position(self, epoch: int) -> Position | None:
        """Returns how far the training is in an epoch, if some of its batches are learnt."""
        for run in self.runs():
            return Checkpoints(run / "training").position(epoch)
        return None

    def learnt(self) -> list[list[list[float]]]:
        """Returns the batches of every process that trained, a batch as its rows' areas."""
        files = sorted((self.folder / "learnt").iterdir())
        return [[json.loads(line) for line in file.read_text().splitlines()] for file in files]


def _write_day(data: Path, day: int) -> None:
    folder = data / f"day=2026-01-0{day}"
    folder.mkdir(parents=True)
    numbers = range(day * 1000, day * 1000 + _ROWS)
    columns = {
        "id": [f"k{number}" for number in numbers],
        # Of no two rows, and larger within a day where a flat is not sold.
        "area": [None if n % 50 == 0 else float(n % 1000 * 10 + day) for n in numbers],
        "sold": [int(number % 1000 < _ROWS // 2) for number in numbers],
    }
    pq.write_table(pa.table(columns), folder / "a.parquet")


def _declaration(name: str, mlflow: str) -> dict[str, Any]:
    return {
        "name": name,
        "source": {"path": "data", "key": "id", "partition_by": "day"},
        "split": {"train": 70, "validation": 15, "test": 15},
        "features": {"area": {"kind": "numeric", "missing": "reject"}},
        "targets": {"sold": {"kind": "binary"}},
        "model": {"encoders": {"area": {"kind": "custom", "builder": "watched:encode"}}},
        "training": {
            "epochs": EPOCHS,
            "batch_size": BATCH,
            "learning_rate": 0.01,
            "early_stopping_patience": None,
            "checkpoint_seconds": 0.01,
            "dispatch": "deployment",
        },
        "gate": {"metric": "test_sold_auc", "at_least": 0.01},
        "registry": {"uri": mlflow},
    }
