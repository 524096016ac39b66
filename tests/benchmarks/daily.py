"""What a run costs after one more day, against a pipeline of that day alone.

`python -m tests.benchmarks.daily` takes some minutes, and writes `results/daily.json` beside this.

The demo's table has 30 days, then 31. What is timed is all that happens to the table: keys, drift,
analysis and transform, each with the start of its process, as `run.json` has it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.daily import DAYS, DailyDemo, etl_steps

REPEATS = 3
RESULTS = Path(__file__).parent / "results" / "daily.json"


def main() -> None:
    """Prints a line a pipeline and the ratio of the medians."""
    found: dict[str, list[dict[str, Any]]] = {"30 days and a new one": [], "that day alone": []}
    for _ in range(REPEATS):
        # In turn, so that a busy machine is as busy for both.
        for name, earlier in zip(found, (DAYS - 1, 0), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(_newest_day(Path(folder) / "demo", earlier))
    seconds = {name: [cost["seconds"] for cost in costs] for name, costs in found.items()}
    for name, costs in found.items():
        last = costs[-1]
        sys.stdout.write(
            f"{name:22} {statistics.median(seconds[name]):6.1f} s  {last['steps']}, "
            f"{last['rows']} rows transformed, {last['files']} files written\n"
        )
    many, one = (statistics.median(values) for values in seconds.values())
    sys.stdout.write(f"{many / one:.2f} times a pipeline of one partition\n")
    RESULTS.parent.mkdir(exist_ok=True)
    report = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "ratio": many / one,
        "costs": found,
    }
    RESULTS.write_text(json.dumps(report, indent=1))


def _newest_day(folder: Path, earlier: int) -> dict[str, Any]:
    """Runs the demo on some days, adds the last one, and returns what the run after it took."""
    demo = DailyDemo(folder)
    for day in range(earlier):
        demo.add(day)
    if earlier:
        demo.run()
    before = _shard_files(demo)
    demo.add(DAYS - 1)
    steps = etl_steps(demo.run())
    return {
        "seconds": sum(step["seconds"] or 0.0 for step in steps.values()),
        "steps": {name: step["seconds"] for name, step in steps.items()},
        "rows": steps["transform"]["rows"],
        "files": len(_shard_files(demo) - before),
    }


def _shard_files(demo: DailyDemo) -> set[Path]:
    return {path for path in (demo.workspace / "shards").rglob("*") if path.is_file()}


if __name__ == "__main__":
    main()
