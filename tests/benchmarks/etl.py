"""Analysis and transform of the mixed table against the textbook TFT script, in one run.

    python -m tests.benchmarks.etl [ROWS]

Prints one line a contestant and writes `tests/benchmarks/results/etl.json`. Seconds and rows/s are
without the imports of TensorFlow and Beam, CPU time and memory are those of whole processes.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from flows.process import STEP_ENVIRONMENT
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.jobs import transform_job
from transforms.contract.declaration import load
from transforms.contract.progress import EVENTS_VARIABLE

REPEATS = 3
RESULTS = Path(__file__).parent / "results" / "etl.json"


@dataclass(frozen=True)
class Cost:
    """What a contestant took.

    Attributes:
        seconds: Wall seconds of the work, imports apart.
        whole_seconds: Wall seconds of its processes.
        cpu_seconds: User and system seconds of its processes.
        peak_mb: Peak resident memory of its largest process.
    """

    seconds: float
    whole_seconds: float
    cpu_seconds: float
    peak_mb: float

    def plus(self, other: Cost) -> Cost:
        """Returns the cost of one after the other."""
        return Cost(
            self.seconds + other.seconds,
            self.whole_seconds + other.whole_seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.peak_mb, other.peak_mb),
        )


def measured(arguments: list[str]) -> Cost:
    """Runs a Python module in a process of its own, with the environment of a step."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,  # a step ends itself when it closes
            stdout=output,
            stderr=subprocess.DEVNULL,
            env=STEP_ENVIRONMENT | dict(os.environ) | {EVENTS_VARIABLE: "1"},
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(arguments)} ended with status {status}")
        output.seek(0)
        last = json.loads(output.read().splitlines()[-1])
    return Cost(
        seconds=last.get("result", last)["seconds"],
        whole_seconds=time.monotonic() - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
    )


def run_braid(table: Path, scratch: Path) -> Cost:
    """Analysis, then transform, as `braid run` starts them."""
    declaration = scratch / "pipeline.yaml"
    declaration.write_text(PIPELINE.format(path=table))
    job = transform_job(load(declaration), scratch / "workspace")
    path = scratch / "job.json"
    path.write_text(job.model_dump_json())
    analysis = measured(["transforms", "analyze", str(path)])
    return analysis.plus(measured(["transforms", "transform", str(path)]))


def run_textbook(table: Path, scratch: Path) -> Cost:
    """The textbook script."""
    return measured(["tests.benchmarks.textbook_tft", str(table), str(scratch)])


CONTESTANTS: dict[str, Callable[[Path, Path], Cost]] = {
    "textbook TFT": run_textbook,
    "braid": run_braid,
}


def main(rows: int) -> None:
    """Runs every contestant in turn, several times, and reports medians."""
    costs: dict[str, list[Cost]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "mixed.parquet"
        write_mixed_table(table, rows)
        for _ in range(REPEATS):
            for name, contestant in CONTESTANTS.items():
                with tempfile.TemporaryDirectory() as scratch:
                    costs[name].append(contestant(table, Path(scratch)))
    rates = {name: [rows / cost.seconds for cost in found] for name, found in costs.items()}
    ratio = median(
        braid / textbook
        for braid, textbook in zip(rates["braid"], rates["textbook TFT"], strict=True)
    )
    for name, found in costs.items():
        sys.stdout.write(
            f"{name:14} {median(rates[name]):7.0f} rows/s  "
            f"{median(c.cpu_seconds for c in found) / rows * 1e6:6.0f} CPU µs/row  "
            f"{max(c.peak_mb for c in found):6.0f} MB\n"
        )
    sys.stdout.write(f"braid is {ratio:.2f} times the textbook script\n")
    RESULTS.parent.mkdir(exist_ok=True)
    report = {
        "rows": rows,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "ratio": ratio,
        "costs": {name: [asdict(cost) for cost in found] for name, found in costs.items()},
    }
    RESULTS.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
