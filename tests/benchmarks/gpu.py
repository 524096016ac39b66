"""What makes the input keep up with a device: every switch, with and without, in one run.

    python -m tests.benchmarks.gpu [ROWS [BATCH [SECONDS]]]

It runs anywhere, on the first GPU if there is one, and says on what. Every line differs from the
first, which is what a run does on this machine, by one switch; the last has all that a training
can have. SECONDS is the length of each measurement, of which a line has two or three a round.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pyarrow.parquet as pq
import tensorflow as tf

from flows.process.child import run_child
from tests.benchmarks.device_report import Device, Picture, Round, report
from tests.benchmarks.measuring import cpu_seconds
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.support.jobs import train_job, transform_job
from trainer.data.shards import ShardFile, count_rows, shard_files
from trainer.data.stream import Batch, BatchLayout, parse_records, raw_batches, training_batches
from trainer.network.model import build_model
from trainer.recipe import Recipe, recipe_of
from trainer.training.epoch import traced
from trainer.training.objectives import trainable
from trainer.training.objectives.compiling import jit_compile
from transforms.contract.columns.features import Image
from transforms.contract.declaration.parsing import load
from transforms.contract.process.startup import keep_freed_memory
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.step import ANALYZE, TRANSFORM
from transforms.kinds.features.image import encode
from transforms.kinds.requests import Fitted

ROUNDS = 3
SIZE = 64  # of pictures in the shards; those of the table are 96x96
_RESIDENT = 4  # batches that are on the device before the clock starts
_AHEAD = 2  # batches that are copied to the device ahead
_REPORT_SECONDS = 0.2  # a training reads its loss as often, for which it waits for the device
_EPOCHS = 1_000_000  # more than any measurement gets to
_PICTURES = 64
_PROBES = 5  # of which the fastest counts
# A text's default encoder is one that XLA cannot compile.
_MODEL = """
model:
  encoders: {{photo: {{kind: cnn, filters: [8, 16], units: 32}}, review: {{kind: embedding}}}}
training: {{batch_size: {batch}, epochs: 1, members: 1, early_stopping_patience: null}}
"""


@dataclass(frozen=True)
class Setting:
    """The switches of a line.

    Attributes:
        storage: Of the pictures in the shards: "raw" or "jpeg".
        precision: That of the step: None is float32.
        xla: Whether XLA compiles the step.
        ahead: Whether batches are copied to the device before the step asks for them.
    """

    storage: str = "raw"
    precision: str | None = None
    xla: bool = False
    ahead: bool = False


def settings(*, xla: bool) -> dict[str, Setting]:
    """Returns the lines of the table.

    Args:
        xla: Whether a run compiles its steps by XLA on this machine.
    """
    usual = Setting(xla=xla)
    return {
        "as a run trains": usual,
        "pictures as JPEG": replace(usual, storage="jpeg"),
        "copied to the device ahead": replace(usual, ahead=True),
        "bfloat16": replace(usual, precision="bfloat16"),
        "without XLA" if xla else "with XLA": replace(usual, xla=not xla),
        "bfloat16, XLA, copied ahead": Setting(precision="bfloat16", xla=True, ahead=True),
    }


def device() -> Device:
    """Returns the device that TensorFlow takes for the steps."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return Device(details.get("device_name", gpus[0].name), is_gpu=True)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line for line in lines if line.startswith("model name")), "of no name")
    return Device(name.rpartition(":")[2].strip(), is_gpu=False)


@dataclass(frozen=True)
class Shards:
    """The table's shards with pictures of one storage."""

    job: TrainJob

    @cached_property
    def files(self) -> tuple[ShardFile, ...]:
        """The training shards."""
        return shard_files(self.job, "train")

    @cached_property
    def recipe(self) -> Recipe:
        """The training's."""
        return recipe_of(self.job.pipeline, self.job.manifest(), count_rows(self.files), 0)

    def batches(self, *, ahead: bool, place: str) -> tf.data.Dataset:
        """Returns what a training reads, without an end."""
        layout = BatchLayout.for_training(self.job.pipeline, self.job.manifest())
        batches = training_batches(self.files, layout, self.recipe, epoch=0, epochs=_EPOCHS)
        if ahead:
            batches = batches.apply(tf.data.experimental.prefetch_to_device(place, _AHEAD))
        return batches


class Line:
    """One setting: its input, and its step, traced and tried.

    Args:
        setting: The switches.
        shards: With pictures of its storage.
        place: TensorFlow's name of the device.
        seconds: The length of a measurement.
    """

    def __init__(self, setting: Setting, shards: Shards, place: str, seconds: float) -> None:
        self._shards, self._place, self._seconds = shards, place, seconds
        self._batch_size = shards.recipe.batch_size
        self._batches = shards.batches(ahead=setting.ahead, place=place)
        pipeline, manifest = shards.job.pipeline, shards.job.manifest()
        keras.utils.set_random_seed(pipeline.training.seed)
        network = build_model(pipeline, manifest, mixed_precision=setting.precision)
        model = trainable(network, pipeline, manifest, shards.recipe)
        model.jit_compile = setting.xla
        if model.jit_compile != setting.xla:
            raise SystemExit("a layer of the benchmark's model has no XLA")
        self._step = traced(model, "train", self._batches)
        with tf.device(place):
            # Not by `take`: nothing may follow what copies ahead.
            some = itertools.islice(self._batches, _RESIDENT)
            self._resident = [tf.nest.map_structure(tf.identity, batch) for batch in some]
        _wait(self._step(self._resident[0]))

    def measured(self) -> Round:
        """Measures the input, the step and both, one after another."""
        batches, _ = self._paced(self._filled(), lambda _: None)
        steps, _ = self._paced(itertools.cycle(self._resident), self._step)
        both, waited = self._paced(self._filled(), self._step)
        return Round(batches, steps, both, waited)

    def _filled(self) -> Iterator[Batch]:
        """Returns the input's iterator after its first batch: the shuffle buffer is filled."""
        iterator = iter(self._batches)
        next(iterator)
        return iterator

    def _paced(self, batches: Iterator[Batch], step: Callable[[Batch], Any]) -> tuple[float, float]:
        """Returns rows/s, and the share of the time that was spent waiting for batches."""
        waited, count, result = 0.0, 0, None
        began = told = time.perf_counter()
        while (asked := time.perf_counter()) - began < self._seconds or count == 0:
            batch = next(batches)
            waited += time.perf_counter() - asked
            result, count = step(batch), count + 1
            if time.perf_counter() - told > _REPORT_SECONDS:
                _wait(result)
                told = time.perf_counter()
        _wait(result)
        seconds = time.perf_counter() - began
        return count * self._batch_size / seconds, waited / seconds


def _wait(losses: dict[str, tf.Tensor] | None) -> None:
    if losses is not None:
        losses["loss"].numpy()


def make_shards(folder: Path, rows: int, batch: int) -> dict[str, Shards]:
    """Writes the table, and its shards with either storage."""
    table, shards = folder / "mixed.parquet", {}
    write_mixed_table(table, rows)
    pipeline = PIPELINE.format(path=table) + _MODEL.format(batch=batch)
    for storage in ("raw", "jpeg"):
        place = folder / storage
        place.mkdir()
        declaration = place / "pipeline.yaml"
        size = f"height: {SIZE}, width: {SIZE}, storage: {storage}"
        declaration.write_text(pipeline.replace("height: 96, width: 96", size))
        job = transform_job(load(declaration), place / "workspace")
        (place / "job.json").write_text(job.model_dump_json())
        for step in (ANALYZE, TRANSFORM):
            run_child(step, place / "job.json", log=place / "log", on_progress=lambda _: None)
        shards[storage] = Shards(train_job(job, place / "run"))
    return shards


def picture_costs(table: Path, shards: dict[str, Shards]) -> Picture:
    """Measures what a picture takes of a core, where it is alone at work."""
    contents = tf.constant(
        pq.read_table(table, columns=["photo"])["photo"].slice(0, _PICTURES).to_pylist()
    )

    def made(size: int) -> float:
        spec = Image(kind="image", height=size, width=size)
        fitted = Fitted({}, {}, {})
        return _core_seconds(tf.function(lambda: encode("photo", spec, contents, fitted)))

    def parsed(storage: str) -> float:
        stored = shards[storage].job.manifest().stored
        (records,) = raw_batches(shards[storage].files, _PICTURES).take(1)
        return _core_seconds(tf.function(lambda: parse_records(records, stored)))

    def read() -> None:
        for _ in raw_batches(shards["jpeg"].files, _PICTURES):
            pass

    decoding, resized = made(96), made(SIZE)
    raw, jpeg = parsed("raw"), parsed("jpeg")
    rows = count_rows(shards["jpeg"].files)
    return Picture(
        decoding=decoding,
        resizing=max(0.0, resized - decoding),
        reading=_core_seconds(read, rows),
        parsing=raw,
        decoding_stored=max(0.0, jpeg - raw),
    )


def _core_seconds(work: Callable[[], Any], rows: int = _PICTURES) -> float:
    """Returns the CPU seconds of this process for a row: the fastest of some trials."""
    work()
    taken = []
    for _ in range(_PROBES):
        before = cpu_seconds()
        work()
        taken.append(cpu_seconds() - before)
    return min(taken) / rows


def main(rows: int, batch: int, seconds: float) -> None:
    """Measures all lines in turn, several times, and reports medians."""
    ran_on = device()
    place = "/GPU:0" if ran_on.is_gpu else "/CPU:0"
    with tempfile.TemporaryDirectory() as name:
        shards = make_shards(Path(name), rows, batch)
        picture = picture_costs(Path(name) / "mixed.parquet", shards)
        lines = {
            name: Line(setting, shards[setting.storage], place, seconds)
            for name, setting in settings(xla=bool(jit_compile())).items()
        }
        rounds: dict[str, list[Round]] = {name: [] for name in lines}
        for _ in range(ROUNDS):
            for name, line in lines.items():
                rounds[name].append(line.measured())
    report(
        f"Input and step: {rows:,} rows of the mixed table, pictures of {SIZE}x{SIZE}, batches of "
        f"{batch}, on {'a GPU' if ran_on.is_gpu else 'a CPU only'}",
        f"python -m tests.benchmarks.gpu {rows} {batch} {seconds:g}",
        ran_on,
        rounds,
        picture,
    ).keep("gpu")


if __name__ == "__main__":
    keep_freed_memory()
    given = sys.argv[1:]
    main(
        int(given[0]) if given else 4_000,
        int(given[1]) if len(given) > 1 else 128,
        float(given[2]) if len(given) > 2 else 2.0,
    )
