"""Analysis and transform of the mixed table on a Flink cluster of this machine, and in-process.

    python -m tests.benchmarks.flink [ROWS]
    python -m tests.benchmarks.flink --slope FEW MANY [REPEATS]

The second has in-process and Flink alone, each on two tables: what a row costs, and what a run
costs without rows. Both need Java and what `infra/flink/flink.sh fetch` fetches; docs/flink.md says
how to run them apart from the network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from statistics import median

from tests.benchmarks.flink_slope import Trial, cpu_of, report, trial_of
from tests.benchmarks.measuring import Cost, run_braid
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.benchmarks.report import Report
from tests.support.flink_cluster import ON_FLINK, Cluster, cluster, what_lacks
from tests.support.runners import IN_PROCESS

REPEATS = 3
REAPED_SECONDS = 3.0  # in which a pool has heard that its workers have ended
ROWS = 50_000
FEW_ROWS = 200  # the first on a cluster that has just been started
HERE, FLINK = "in-process", "Flink"
AS_BEAM_HAS_IT = "Flink, jars sent, each worker importing for itself"
COLUMNS = ("", f"first {FEW_ROWS} rows s", "analysis s", "transform s")
_BEAM = {HERE: IN_PROCESS, FLINK: ON_FLINK, AS_BEAM_HAS_IT: ON_FLINK}
_VARIABLES = {
    AS_BEAM_HAS_IT: {
        "BRAID_WORKER_POOL": "",
        "BRAID_JOB_SERVER": "org.apache.beam.runners.flink.FlinkJobServerDriver",
    }
}


def main(rows: int) -> None:
    """Runs every contestant in turn, several times, and reports medians."""
    lacks = what_lacks()
    if lacks is not None:
        raise SystemExit(lacks)
    costs: dict[tuple[str, int], list[dict[str, Cost]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in (FEW_ROWS, rows):
            write_mixed_table(Path(folder) / f"{size}.parquet", size)
        for _ in range(REPEATS):
            for name in _BEAM:
                with tempfile.TemporaryDirectory() as logs, _runner(name, Path(logs)):
                    for size in (FEW_ROWS, rows):
                        steps = _steps(Path(folder) / f"{size}.parquet", name)
                        costs.setdefault((name, size), []).append(steps)
    whole = {name: median(map(_seconds, costs[name, rows])) for name in _BEAM}
    pip = _seconds_of_pip()
    Report(
        title=f"{rows:,} mixed rows on Flink, two TaskManagers and workers on this machine",
        command=f"python -m tests.benchmarks.flink {rows}",
        columns=COLUMNS,
        lines=[_line(costs, name, rows) for name in _BEAM],
        sentences=[
            f"Flink takes {whole[FLINK] / whole[HERE]:.2f} times as long as in-process, and "
            f"{whole[FLINK] / whole[AS_BEAM_HAS_IT]:.2f} of what it takes as Beam has it.",
            f"Beam's `pip freeze`, which a job goes without, takes {pip:.1f} s here.",
        ],
        details={
            f"{name}, {size} rows": [
                {step: asdict(cost) for step, cost in trial.items()} for trial in trials
            ]
            for (name, size), trials in costs.items()
        },
    ).keep("flink")


def slope(few: int, many: int, repeats: int) -> None:
    """Runs both sides in turn on two tables, several times, and reports what a row costs."""
    lacks = what_lacks()
    if lacks is not None:
        raise SystemExit(lacks)
    trials: dict[tuple[str, int], list[Trial]] = {}
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as running:
        tables = {size: Path(folder) / f"{size}.parquet" for size in (FEW_ROWS, few, many)}
        for size, path in tables.items():
            write_mixed_table(path, size)
        _steps(tables[FEW_ROWS], FLINK)  # a cluster that has just been started is slower
        for _ in range(repeats):
            for size in (few, many):
                for name in (HERE, FLINK):
                    before = cpu_of(running)
                    steps = _steps(tables[size], name)
                    time.sleep(REAPED_SECONDS)
                    used = cpu_of(running) - before if name == FLINK else 0.0
                    trials.setdefault((name, size), []).append(trial_of(steps, used))
    report(trials, f"python -m tests.benchmarks.flink --slope {few} {many} {repeats}")


def _runner(name: str, folder: Path) -> AbstractContextManager[Cluster | None]:
    if name == HERE:
        return nullcontext()
    return cluster(folder, _VARIABLES.get(name))


def _steps(table: Path, name: str) -> dict[str, Cost]:
    spec = _BEAM[name].model_dump(mode="json", exclude_defaults=True)
    with tempfile.TemporaryDirectory() as scratch:
        declaration = f"{PIPELINE.format(path=table)}beam: {json.dumps(spec)}\n"
        return run_braid(declaration, Path(scratch))


def _seconds(steps: dict[str, Cost]) -> float:
    return reduce(Cost.plus, steps.values()).seconds


def _line(
    costs: dict[tuple[str, int], list[dict[str, Cost]]], name: str, rows: int
) -> tuple[str, ...]:
    first = median(map(_seconds, costs[name, FEW_ROWS]))
    steps = (
        median(trial[step].seconds for trial in costs[name, rows])
        for step in ("analyze", "transform")
    )
    return (name, *(f"{seconds:.1f}" for seconds in (first, *steps)))


def _seconds_of_pip() -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, check=True)
    return time.monotonic() - begun


if __name__ == "__main__":
    if sys.argv[1:2] == ["--slope"]:
        few, many, *repeats = map(int, sys.argv[2:])
        slope(few, many, *(repeats or [REPEATS]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
