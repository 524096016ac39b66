"""The demo's table as one that a day is added to, for a test and a benchmark."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from flows import templates
from flows.console.progress import Reporter
from flows.orchestration import run_steps
from flows.records.step_result import StepResult
from flows.steps.drift import Measurement, decide, measure_drift
from flows.steps.shard_steps import scan_source
from tests.support.runs import run_of
from transforms.contract.declaration.parsing import load
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.transform_choice import Undecided

DAYS = 31
_FIRST = date(2026, 1, 1)
_BRAID = [sys.executable, "-c", "from flows.commands.cli import main; main()"]
_REFUSED = 3  # as a model of one epoch may be
# A day of the demo has few rows: one in ten may be unusable.
_SETTINGS = (
    "training.epochs=1",
    "transform.refit=when_drifted",
    "transform.max_reject_fraction=0.2",
)


class DailyDemo:
    """The demo in a folder, with some of its days.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.declaration = templates.create("listings", folder)
        self._data = folder / "data"
        files = sorted(self._data.glob("*/*.parquet"))
        self._table = pa.concat_tables(pq.read_table(file, partitioning=None) for file in files)
        for file in files:
            file.unlink()
            file.parent.rmdir()
        self.workspace = folder / "workspace"

    def add(self, day: int) -> int:
        """Writes a day, from 0, and returns its rows."""
        rows = self._table.num_rows // DAYS
        pq.write_table(self._table.slice(day * rows, rows), self._new_file(day))
        return rows

    def _new_file(self, day: int) -> Path:
        path = self._data / f"day={_FIRST + timedelta(day)}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        return path

    def blank(self) -> None:
        """Makes every row unreadable, and leaves names, sizes, times and schemas as they are."""
        for path in self._data.glob("*/*.parquet"):
            times, content = path.stat(), bytearray(path.read_bytes())
            footer = int.from_bytes(content[-8:-4], "little") + 8
            content[4:-footer] = bytes(len(content) - footer - 4)
            path.write_bytes(content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def run(self) -> dict[str, Any]:
        """Runs the pipeline by the public command; returns its record."""
        settings = [part for setting in _SETTINGS for part in ("--set", setting)]
        done = subprocess.run(
            [*_BRAID, "run", str(self.declaration), *settings],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, _REFUSED):
            raise RuntimeError(done.stdout + done.stderr)
        newest = sorted((self.workspace / "runs" / "listings").glob("*/run.json"))[-1]
        record: dict[str, Any] = json.loads(newest.read_text())
        return record

    def shards(self) -> dict[str, dict[str, Any]]:
        """Does what a run does to the table, and no training; returns the steps by their names."""
        pipeline = load(self.declaration, _SETTINGS)
        workspace, reporter = Workspace(self.workspace), Reporter(Console(file=io.StringIO()))
        partitions = scan_source(pipeline)

        def measure(undecided: Undecided) -> StepResult[None]:
            return measure_drift(Measurement(pipeline, workspace, undecided, reporter))

        plan, measured = decide(pipeline, partitions, workspace, measure)
        run = run_of(pipeline, workspace, partitions, plan.choice, plan.identity)
        run.begin(measured)
        run_steps.check_source(run)
        with run_steps.transform_lock(run):
            run_steps.analyze(run)
            run_steps.transform(run)
        return etl_steps(run.log.record.model_dump())


def etl_steps(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns what a run did to the table, by the step's name."""
    names = ("check keys", "measure drift", "analyze", "transform")
    return {step["name"]: step for step in record["steps"] if step["name"] in names}
