"""The cost of a run after one more day, against a pipeline of that day alone.

    python -m tests.benchmarks.daily [REPEATS]

The demo's table has 30 days, then 31. What is timed is all that happens to the table: keys, drift,
analysis and transform, each with the start of its process, as `run.json` has it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.report import Report
from tests.support.daily import DAYS, DailyDemo


def main(repeats: int) -> None:
    """Runs both in turn, several times, and reports medians."""
    cases: dict[str, list[dict[str, Any]]] = {"30 days and a new one": [], "that day alone": []}
    for _ in range(repeats):
        # In turn, so that a busy machine is as busy for both.
        for name, earlier in zip(cases, (DAYS - 1, 0), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                cases[name].append(_newest_day(Path(folder) / "demo", earlier))
    seconds = {
        name: statistics.median(cost["seconds"] for cost in costs) for name, costs in cases.items()
    }
    many, one = seconds.values()
    Report(
        title="A new day of the demo's table: keys, drift, analysis and transform",
        command=f"python -m tests.benchmarks.daily {repeats}",
        columns=("", "seconds", "rows transformed", "files written"),
        lines=[
            (name, f"{seconds[name]:.1f}", str(costs[-1]["rows"]), str(costs[-1]["files"]))
            for name, costs in cases.items()
        ],
        sentences=[
            f"{many / one:.2f} times a pipeline of one partition.",
            "Each step with the start of its process.",
        ],
        details=cases,
    ).keep("daily")


def _newest_day(folder: Path, earlier: int) -> dict[str, Any]:
    """Does some days, adds the last one, and returns what the run after it took."""
    demo = DailyDemo(folder)
    for day in range(earlier):
        demo.add(day)
    if earlier:
        demo.shards()
    before = _shard_files(demo)
    demo.add(DAYS - 1)
    steps = demo.shards()
    return {
        "seconds": sum(step["seconds"] or 0.0 for step in steps.values()),
        "steps": {name: step["seconds"] for name, step in steps.items()},
        "rows": steps["transform"]["rows"],
        "files": len(_shard_files(demo) - before),
    }


def _shard_files(demo: DailyDemo) -> set[Path]:
    return {path for path in (demo.workspace / "shards").rglob("*") if path.is_file()}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
