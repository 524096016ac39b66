"""The cost of a program: a process of its own, its seconds, CPU time and memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.jobs import transform_job
from transforms.contract.declaration.parsing import load
from transforms.contract.process.startup import keep_freed_memory
from transforms.contract.steps.jobs import TransformJob


@dataclass(frozen=True)
class Cost:
    """The cost of a contestant.

    Attributes:
        seconds: Wall seconds of the work, imports apart.
        cpu_seconds: User and system seconds of the work, imports apart.
        whole_cpu_seconds: User and system seconds of its processes.
        peak_mb: Peak resident memory of its largest process.
    """

    seconds: float
    cpu_seconds: float
    whole_cpu_seconds: float
    peak_mb: float

    def plus(self, other: Cost) -> Cost:
        """Returns the cost of one after the other."""
        return Cost(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            self.whole_cpu_seconds + other.whole_cpu_seconds,
            max(self.peak_mb, other.peak_mb),
        )


def tell_cost(work: Callable[[], object]) -> None:
    """Runs a contestant's work and prints what it took, for `measured`.

    All contestants keep what they free, as Braid's steps do.
    """
    keep_freed_memory()
    started, before = time.monotonic(), cpu_seconds()
    work()
    cost = {"seconds": time.monotonic() - started, "cpu_seconds": cpu_seconds() - before}
    sys.stdout.write(f"\n{json.dumps(cost)}\n")


def cpu_seconds() -> float:
    """Returns the user and system seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measured(arguments: list[str]) -> Cost:
    """Runs a module that ends with `tell_cost`."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=output,
            stderr=subprocess.DEVNULL,
            env={"TF_CPP_MIN_LOG_LEVEL": "2"} | dict(os.environ),
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(arguments)} ended with status {status}")
        output.seek(0)
        told = json.loads(output.read().splitlines()[-1])
    return Cost(
        **told,
        whole_cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
    )


def run_braid(declaration: str, scratch: Path) -> dict[str, Cost]:
    """Analysis, then transform, each in a process, as `braid run` starts them."""
    (scratch / "job.json").write_text(job_of(declaration, scratch).model_dump_json())
    step = ["tests.benchmarks.step", str(scratch / "job.json")]
    return {name: measured([*step, name]) for name in ("analyze", "transform")}


def job_of(declaration: str, scratch: Path) -> TransformJob:
    """Returns the job of a declaration's analysis and transform, with a workspace in `scratch`."""
    path = scratch / "pipeline.yaml"
    path.write_text(declaration)
    return transform_job(load(path), scratch / "workspace")


COLUMNS = ("", "rows/s", "CPU µs/row", "with imports", "peak MB")


def lines(costs: Mapping[str, list[Cost]], rows: int) -> list[tuple[str, ...]]:
    """Returns a line of `COLUMNS` for each contestant: medians, and the largest memory."""
    return [
        (
            name,
            f"{rows / median(c.seconds for c in trials):,.0f}",
            f"{median(c.cpu_seconds for c in trials) / rows * 1e6:,.1f}",
            f"{median(c.whole_cpu_seconds for c in trials) / rows * 1e6:,.1f}",
            f"{max(c.peak_mb for c in trials):,.0f}",
        )
        for name, trials in costs.items()
    ]


def details(costs: Mapping[str, list[Cost]]) -> dict[str, Any]:
    """Returns every single measurement."""
    return {contestant: [asdict(cost) for cost in trials] for contestant, trials in costs.items()}
