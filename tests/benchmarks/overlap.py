"""Transform, then training, against `training.start: streaming`: both at the same time.

    python -m tests.benchmarks.overlap [ROWS] [EPOCHS]

The mixed table in several partitions, on a transform that is frozen already. Timed is from the
start of the first process to the end of the last one, once with a core for each of the two, once
with all cores for both.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from pydantic import BaseModel

from flows.process.child import run_child
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.benchmarks.report import Report
from tests.support.jobs import train_job, transform_job
from transforms.contract.declaration.parsing import load
from transforms.contract.spec import Spec
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.results import TrainResult, TransformResult
from transforms.contract.steps.step import ANALYZE, TRAIN, TRANSFORM, Step
from transforms.contract.workspace.locks import exclusive_lock

_Job = TypeVar("_Job", bound=Spec)
_Result = TypeVar("_Result", bound=BaseModel)

REPEATS = 3
PARTITIONS = 8
_TRAINING = """
model: {{encoders: {{photo: {{kind: cnn, filters: [4], units: 16}}}}}}
training: {{epochs: {epochs}, start: {start}, early_stopping_patience: null}}
"""
_AFTER, _BESIDE = "one after the other", "streaming"
_STARTS = {_AFTER: "all", _BESIDE: "streaming"}


@dataclass(frozen=True)
class Total:
    """The cost of transform and training together.

    Attributes:
        seconds: From the start of the first process to the end of the last one.
        transform: Seconds of the transform's process.
        training: Seconds of the training's process.
        waited: Those of them that it waited for the transform.
    """

    seconds: float
    transform: float
    training: float
    waited: float


def frozen(folder: Path, rows: int, epochs: int, start: str) -> TransformJob:
    """Returns the job of the table's transform, with a workspace where it is frozen."""
    declaration = folder / f"{start}.yaml"
    source = PIPELINE.format(path=folder / "data").replace("key: id}", "key: id, partition_by: p}")
    declaration.write_text(source + _TRAINING.format(epochs=epochs, start=start))
    if not (folder / "data").exists():
        for number in range(PARTITIONS):
            path = folder / "data" / f"p={number}" / "mixed.parquet"
            path.parent.mkdir(parents=True)
            write_mixed_table(path, rows // PARTITIONS, seed=number)
    job = transform_job(load(declaration), folder / "frozen")
    if job.folders().read_transform(job.transform) is None:
        run(ANALYZE, job, folder, None)
    return job


def run(
    step: Step[_Job, _Result], job: _Job, folder: Path, core: int | None
) -> tuple[float, _Result]:
    """Runs a step in a process of its own; returns its seconds and its result."""
    path = folder / f"{step.name}.json"
    path.write_text(job.model_dump_json())
    if core is not None:
        os.sched_setaffinity(0, {core})  # of this thread, and so of the process that it starts
    started = time.perf_counter()
    done = run_child(step, path, log=folder / "log", on_progress=lambda _: None)
    return time.perf_counter() - started, done.result


def measured(frozen_job: TransformJob, cores: tuple[int | None, int | None]) -> Total:
    """Transforms and trains in a new workspace, in the way that the declaration says."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(frozen_job.workspace, folder / "workspace")
        job = frozen_job.model_copy(update={"workspace": str(folder / "workspace")})
        training = train_job(job, folder / "run")
        Path(training.run_folder).mkdir()

        def transform() -> tuple[float, TransformResult]:
            return run(TRANSFORM, job, folder, cores[0])

        def train() -> tuple[float, TrainResult]:
            return run(TRAIN, training, folder, cores[1])

        lock = job.folders().lock("transform", job.transform)
        started = time.perf_counter()
        # In threads, as cores are given to a thread, and processes have those of who starts them.
        with exclusive_lock(lock, holder="the benchmark"), ThreadPoolExecutor(2) as threads:
            transforming = threads.submit(transform)
            if job.pipeline.training.start == "all":
                transforming.result()
            train_seconds, trained = threads.submit(train).result()
            transform_seconds, _ = transforming.result()
        total = time.perf_counter() - started
    return Total(total, transform_seconds, train_seconds, trained.transform_wait_seconds)


def main(rows: int, epochs: int) -> None:
    """Measures both ways in turn, several times, and reports medians."""
    own = sorted(os.sched_getaffinity(0))
    given: dict[str, tuple[int | None, int | None]] = {
        "a core each": (own[0], own[-1]),
        "all cores": (None, None),
    }
    costs: dict[str, list[Total]] = {}
    with tempfile.TemporaryDirectory() as name:
        jobs = {way: frozen(Path(name), rows, epochs, start) for way, start in _STARTS.items()}
        for _ in range(REPEATS):
            for words, cores in given.items():
                for way, job in jobs.items():
                    total = measured(job, cores)
                    costs.setdefault(f"{way}, {words}", []).append(total)
    _report(rows, epochs, list(given), costs).keep("overlap")


def _report(rows: int, epochs: int, given: list[str], costs: dict[str, list[Total]]) -> Report:
    def middle(name: str, of: Callable[[Total], float]) -> float:
        return median(of(total) for total in costs[name])

    ratios = {
        words: median(
            beside.seconds / after.seconds
            for after, beside in zip(
                costs[f"{_AFTER}, {words}"], costs[f"{_BESIDE}, {words}"], strict=True
            )
        )
        for words in given
    }
    return Report(
        title=f"Transform and {epochs} epoch(s) of {rows:,} mixed rows in {PARTITIONS} partitions",
        command=f"python -m tests.benchmarks.overlap {rows} {epochs}",
        columns=("", "total s", "transform s", "training s", "waiting for the transform s"),
        lines=[
            (
                name,
                f"{middle(name, lambda total: total.seconds):.1f}",
                f"{middle(name, lambda total: total.transform):.1f}",
                f"{middle(name, lambda total: total.training):.1f}",
                f"{middle(name, lambda total: total.waited):.1f}",
            )
            for name in costs
        ],
        sentences=[
            *(
                f"With {words}, streaming takes {ratio:.2f} of the time of one after the other."
                for words, ratio in ratios.items()
            ),
            "Each step is a process, whose start is counted; the analysis, which both share, is "
            "not.",
        ],
        details={name: [asdict(total) for total in totals] for name, totals in costs.items()},
    )


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    main(size, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
