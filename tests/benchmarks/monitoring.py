"""A day of many served rows of many columns held against what a model was made of.

    python -m tests.benchmarks.monitoring [ROWS [COLUMNS]]

The transform is frozen on 20,000 rows; the day has ROWS rows of the same columns, in files of
50,000, and one column is shifted by 0.3 standard deviations. Beside it the bare loop: the
same files read by Arrow and every column counted by the same intervals with NumPy.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.columns_table import declaration, write_columns_table
from tests.benchmarks.measuring import COLUMNS, Cost, details, job_of, lines, measured, tell_cost
from tests.benchmarks.report import Report
from transforms.analysis.freeze import analyze
from transforms.analysis.monitor import monitor
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.monitoring import (
    ANSWER_PREFIX,
    ANSWERS_FILE,
    LOGGED_PREFIX,
    VERSION_COLUMN,
    MonitorJob,
)

REPEATS = 3
_FROZEN_ROWS = 20_000
_FILE_ROWS = 50_000
_SHIFTED, _SHIFT = "n1", 0.3  # standard deviations
_MINUTES_TO_REACH = 5
_MONITOR, _BARE = "braid monitor", "the bare loop"


def main(rows: int, columns: int) -> None:
    """Measures in turn, several times, and reports medians."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = _job(folder, rows, columns)
        for _ in range(REPEATS):
            for who in (_MONITOR, _BARE):
                cost = measured(["tests.benchmarks.monitoring", who, str(job)])
                costs.setdefault(who, []).append(cost)
    seconds = {who: median(cost.seconds for cost in trials) for who, trials in costs.items()}
    Report(
        title=f"A day of {rows:,} served rows of {columns:,} columns",
        command=f"python -m tests.benchmarks.monitoring {rows} {columns}",
        columns=COLUMNS,
        lines=lines(costs, rows),
        sentences=[
            f"{seconds[_MONITOR] / 60:.1f} minutes ({_MINUTES_TO_REACH} to reach),"
            f" {seconds[_MONITOR] / seconds[_BARE]:.1f} times the bare loop's.",
            f"The one column that is shifted, by {_SHIFT} standard deviations, is the one named.",
        ],
        details=details(costs),
    ).keep("monitoring")


def _job(folder: Path, rows: int, columns: int) -> Path:
    """Freezes a transform and writes a day; returns the path of the job that compares them."""
    table, day = folder / "table.parquet", folder / "logged=2026-01-01"
    write_columns_table(table, _FROZEN_ROWS, columns, {})
    frozen = job_of(declaration(table, columns, {}), folder)
    analyze(frozen.model_dump_json())
    day.mkdir()
    for start in range(0, rows, _FILE_ROWS):
        _write_rows(day / f"{start:09}.parquet", min(_FILE_ROWS, rows - start), columns, start)
    answers: dict[str, Any] = {
        ANSWER_PREFIX + "sold": np.random.default_rng(2).random(_FROZEN_ROWS, np.float32)
    }
    np.savez(folder / ANSWERS_FILE, **answers)
    path = folder / "job.json"
    path.write_text(_monitoring(frozen, day).model_dump_json())
    return path


def _monitoring(frozen: TransformJob, day: Path) -> MonitorJob:
    return MonitorJob(
        pipeline=frozen.pipeline,
        statistics=str(frozen.folders().transform(frozen.transform) / "statistics"),
        log=str(day),
        answers=str(day.parent / ANSWERS_FILE),
        version="1",
    )


def _write_rows(path: Path, rows: int, columns: int, seed: int) -> None:
    random = np.random.default_rng([1, seed])
    logged = {f"n{i}": random.normal(size=rows) for i in range(columns)}
    logged[_SHIFTED] += _SHIFT
    logged[LOGGED_PREFIX + "sold"] = random.random(rows)
    versions = pa.repeat(pa.scalar("1"), rows)
    pq.write_table(pa.table(logged | {VERSION_COLUMN: versions}), path)


def _monitored(job: str) -> None:
    result = monitor(job)
    both = result.features | result.predictions
    named = [name for name, compared in both.items() if compared.is_alarm]
    if named != [_SHIFTED]:
        raise SystemExit(f"expected an alarm of {_SHIFTED}, received {named}")


def _bare_loop(job: str) -> None:
    edges = np.linspace(-1.3, 1.3, 9).astype(np.float32)
    counts: dict[str, np.ndarray] = {}
    for path in sorted(Path(MonitorJob.model_validate_json(job).log).glob("*.parquet")):
        for name, column in zip(*_columns(path), strict=True):
            places = np.searchsorted(edges, column.to_numpy().astype(np.float32))
            counts[name] = counts.get(name, 0) + np.bincount(places, minlength=10)


def _columns(path: Path) -> tuple[list[str], list[pa.ChunkedArray]]:
    table = pq.read_table(path).drop_columns([VERSION_COLUMN])
    return table.column_names, table.columns


if __name__ == "__main__":
    if sys.argv[1:2] in ([_MONITOR], [_BARE]):
        text = Path(sys.argv[2]).read_text()
        tell_cost(lambda: (_monitored if sys.argv[1] == _MONITOR else _bare_loop)(text))
    else:
        rows, columns = [*map(int, sys.argv[1:]), *(1_000_000, 1_000)[len(sys.argv) - 1 :]]
        main(rows, columns)
