"""Analysis and transform of the mixed table against the textbook TFT script, in one run.

    python -m tests.benchmarks.etl [ROWS]

Prints one line a contestant and writes `tests/benchmarks/results/etl.json`. Seconds are those of
whole processes, starting TensorFlow and Beam included.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from flows.process import step_environment
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from transforms.contract.declaration import load
from transforms.contract.jobs import TransformJob
from transforms.identity import transform_fingerprint
from transforms.source import scan

REPEATS = 3
RESULTS = Path(__file__).parent / "results" / "etl.json"


@dataclass(frozen=True)
class Cost:
    """What a contestant took: wall and CPU seconds, and the peak of its largest process in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float

    def plus(self, other: Cost) -> Cost:
        """Returns the cost of one after the other."""
        return Cost(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.peak_mb, other.peak_mb),
        )


def measured(arguments: list[str]) -> Cost:
    """Runs a Python module in a process of its own, with the environment of a step."""
    started = time.monotonic()
    null = os.open(os.devnull, os.O_RDWR)
    stdin, hold = os.pipe()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", *arguments],
        step_environment(),
        file_actions=[
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
        ],
    )
    _, status, usage = os.wait4(process, 0)
    for descriptor in (null, stdin, hold):
        os.close(descriptor)
    if status:
        raise SystemExit(f"{' '.join(arguments)} ended with status {status}")
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run_braid(table: Path, scratch: Path) -> Cost:
    """Analysis, then transform, as `braid run` starts them."""
    declaration = scratch / "pipeline.yaml"
    declaration.write_text(PIPELINE.format(path=table))
    pipeline = load(declaration)
    partitions = scan(pipeline.source).partitions
    job = TransformJob(
        pipeline=pipeline,
        workspace=str(scratch / "workspace"),
        transform=transform_fingerprint(pipeline, partitions),
        partitions=partitions,
    )
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
