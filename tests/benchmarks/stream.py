"""The trainer's stream against bare tf.data, and training from it against arrays in memory.

    python -m tests.benchmarks.stream [ROWS]

Both read the mixed table's shards with raw 96x96 pixels. Bare tf.data reads the same files,
interleaved, parses batches and decodes the pixels, without an order that could be repeated and
without a shuffle. Seconds are noisy on a shared machine; CPU time is less so.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from flows.process.child import run_child
from tests.benchmarks.measuring import cpu_seconds
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.benchmarks.report import Report
from tests.support.jobs import train_job, transform_job
from trainer.data.shards import ShardFile, count_rows, shard_files
from trainer.data.stream import BatchLayout, training_batches
from trainer.recipe import Recipe, recipe_of
from transforms.contract.declaration.parsing import load
from transforms.contract.process.startup import keep_freed_memory
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.step import ANALYZE, TRANSFORM

REPEATS = 3
_BARE, _READ = "bare tf.data", "the stream"
_ARRAYS, _STREAM = "training from arrays", "training from the stream"
_HALF = "the same on half of the rows"
_MODEL = """
model: {encoders: {photo: {kind: cnn, filters: [8], units: 32}}}
training: {epochs: 2, early_stopping_patience: null, checkpoint_seconds: null}
"""


@dataclass(frozen=True)
class Pass:
    """The cost of one pass over the rows.

    Attributes:
        seconds: Wall seconds.
        cpu_seconds: User and system seconds of the process meanwhile.
        peak_mb: Peak resident memory of the process so far.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


def timed(work: Callable[[], object]) -> Pass:
    """Runs something and returns what it took."""
    cpu, started = cpu_seconds(), time.perf_counter()
    work()
    seconds, used = time.perf_counter() - started, cpu_seconds() - cpu
    return Pass(seconds, used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def make_shards(folder: Path, rows: int) -> TrainJob:
    """Writes the table and its shards, and returns the job of training on them."""
    table, declaration = folder / "mixed.parquet", folder / "pipeline.yaml"
    write_mixed_table(table, rows)
    declaration.write_text(PIPELINE.format(path=table) + _MODEL)
    job = transform_job(load(declaration), folder / "workspace")
    path = folder / "job.json"
    path.write_text(job.model_dump_json())
    for step in (ANALYZE, TRANSFORM):
        run_child(step, path, log=folder / "log", on_progress=lambda _: None)
    return train_job(job, folder / "run")


def bare_batches(job: TrainJob, files: tuple[ShardFile, ...]) -> tf.data.Dataset:
    """The same files by tf.data alone."""
    stored = job.manifest().in_records()
    spec = {
        s.name: tf.io.FixedLenFeature([], tf.string)
        if s.storage == "raw"
        else tf.io.FixedLenFeature(s.shape, tf.as_dtype(s.dtype))
        for s in stored
    }

    def parse(records: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(records, spec)
        pixels = tf.io.decode_raw(parsed["photo"], tf.uint8)
        return parsed | {"photo": tf.reshape(pixels, [-1, 96, 96, 3])}

    paths = tf.data.Dataset.from_tensor_slices([str(file.path) for file in files])
    records = paths.interleave(
        tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False
    )
    batches = records.batch(recipe(job, files).batch_size)
    return batches.map(parse, tf.data.AUTOTUNE, deterministic=False).prefetch(tf.data.AUTOTUNE)


def stream_batches(job: TrainJob, files: tuple[ShardFile, ...]) -> tf.data.Dataset:
    """The same files as a training reads them."""
    layout = BatchLayout.for_training(job.pipeline, job.manifest())
    return training_batches(files, layout, recipe(job, files), epoch=0)


def recipe(job: TrainJob, files: tuple[ShardFile, ...]) -> Recipe:
    """The recipe of a training on some files."""
    return recipe_of(job.pipeline, job.manifest(), count_rows(files), None)


def _drained(batches: tf.data.Dataset) -> None:
    for _ in batches:
        pass


def streams(job: TrainJob) -> dict[str, list[Pass]]:
    """Reads everything both ways in turn; the first pass of each warms up and does not count."""
    files = shard_files(job, "train")
    makers = {_BARE: bare_batches, _READ: stream_batches}
    passes: dict[str, list[Pass]] = {name: [] for name in makers}
    for _ in range(1 + REPEATS):
        for name, make in makers.items():
            passes[name].append(timed(lambda make=make: _drained(make(job, files))))  # type: ignore[misc]
    return {name: of_layout[1:] for name, of_layout in passes.items()}


def trainings(job: TrainJob, folder: Path) -> dict[str, list[Pass]]:
    """Trains both ways in turn, and once on half of the files, for its memory."""
    arrays, stream, half = [], [], []
    for number in range(REPEATS):
        arrays.append(_trained(job, folder / f"arrays-{number}", "arrays", 1.0))
        stream.append(_trained(job, folder / f"stream-{number}", "stream", 1.0))
    half.append(_trained(job, folder / "half", "stream", 0.5))
    return {_ARRAYS: arrays, _STREAM: stream, _HALF: half}


def _trained(job: TrainJob, run: Path, way: str, share: float) -> Pass:
    """Trains in a process of its own."""
    run.mkdir()
    path = run / "job.json"
    path.write_text(job.model_copy(update={"run_folder": str(run)}).model_dump_json())
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.training", way, str(share), str(path)],
        stdout=subprocess.PIPE,
        check=True,
    )
    return Pass(**json.loads(done.stdout.splitlines()[-1]))


def main(rows: int) -> None:
    """Measures and reports."""
    with tempfile.TemporaryDirectory() as name:
        job = make_shards(Path(name), rows)
        trained = count_rows(shard_files(job, "train"))
        read = streams(job)
        learnt = trainings(job, Path(name))
    lines = [
        *(_line(name, passes, trained, "-") for name, passes in read.items()),
        *(_line(name, learnt[name], trained, _peak(learnt[name])) for name in (_ARRAYS, _STREAM)),
        _line(_HALF, learnt[_HALF], trained // 2, _peak(learnt[_HALF])),
    ]
    Report(
        title=f"Reading and training, {trained:,} rows of the mixed table with raw 96x96 pixels",
        command=f"python -m tests.benchmarks.stream {rows}",
        columns=("", "rows/s", "CPU µs/row", "peak memory"),
        lines=lines,
        sentences=[
            _ratio("The stream", read[_BARE], read[_READ], "bare tf.data"),
            _ratio(
                "Training from the stream", learnt[_ARRAYS], learnt[_STREAM], "that from arrays"
            ),
            f"Its memory is {_peak(learnt[_HALF])} at half of the rows and "
            f"{_peak(learnt[_STREAM])} at all of them.",
        ],
        details={n: [asdict(p) for p in passes] for n, passes in (read | learnt).items()},
    ).keep("stream")


def _line(name: str, passes: list[Pass], rows: int, peak: str) -> tuple[str, ...]:
    rate = rows / median(p.seconds for p in passes)
    cpu = median(p.cpu_seconds for p in passes) / rows * 1e6
    return name, f"{rate:,.0f}", f"{cpu:.1f}", peak


def _peak(passes: list[Pass]) -> str:
    return f"{median(p.peak_mb for p in passes):,.0f} MB"


def _ratio(what: str, base: list[Pass], passes: list[Pass], other: str) -> str:
    pairs = list(zip(base, passes, strict=True))
    rate = median(b.seconds / p.seconds for b, p in pairs)
    cpu = median(b.cpu_seconds / p.cpu_seconds for b, p in pairs)
    return f"{what} gives {rate:.2f} of the rows/s of {other}, {cpu:.2f} by CPU time."


if __name__ == "__main__":
    keep_freed_memory()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
