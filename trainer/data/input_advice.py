"""Advice for a training that waits for its data, from what was measured of it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import tensorflow as tf

from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import OPEN_FILES, BatchLayout, model_batch, raw_batches
from transforms.contract.spec import Spec

_MOST_WAITING = 0.1  # of the time
_LEAST_SECONDS = 10.0  # of waiting in all; nobody needs to hasten a shorter training
_HANDING_OVER_SECONDS = 0.001  # what `next` takes of a batch that is ready, and Python around it
_BUSY = 0.75  # of all cores; the rest is what the system and other processes take
_MOST_FILLING = 0.5  # of the waiting
_PROBE_BATCHES = 4  # of which the fastest counts


class Waiting(Spec):
    """The measurements of a training's input.

    Attributes:
        share: The share of the time that the device waited for data.
        first_share: The part of that waiting that was for the first batch of an epoch.
        seconds_per_batch: The waiting for a batch, on average.
        batch_size: Rows in a batch.
        rows_per_second: Rows that were learnt.
        row_bytes: What a row takes in the shards.
        parse_seconds: Of one core, for parsing and decoding a row.
        busy: The share of all cores' time that this process used.
        cores: Their number.
        files: Training shards.
        encoded: The features that are stored as JPEG or PNG.
        raw: Those that are stored as pixels.
    """

    share: float
    first_share: float
    seconds_per_batch: float
    batch_size: int
    rows_per_second: float
    row_bytes: float
    parse_seconds: float
    busy: float
    cores: int
    files: int
    encoded: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()


def worth_a_change(waited: float, seconds: float) -> bool:
    """Returns whether a training waited for so long that something is to be changed.

    Args:
        waited: Seconds that the device waited for data.
        seconds: Seconds of all epochs.
    """
    return waited >= _LEAST_SECONDS and waited > _MOST_WAITING * seconds


def advice(waiting: Waiting) -> str:
    """Returns what to change, in words, in a training that waited."""
    return f"The device waited for data {waiting.share:.0%} of the time. {_cause(waiting)}"


def _cause(waiting: Waiting) -> str:
    if waiting.first_share > _MOST_FILLING:
        return (
            f"{waiting.first_share:.0%} of that was before the first batch of an epoch, while the "
            "shuffle buffer is filled: set a lower training.shuffle_bytes."
        )
    if waiting.seconds_per_batch < _HANDING_OVER_SECONDS:
        return (
            f"It waited {waiting.seconds_per_batch * 1000:.1f} ms for a batch of "
            f"{waiting.batch_size} rows, about what handing over any batch takes: set a higher "
            "training.batch_size."
        )
    if waiting.busy >= _BUSY:
        return _cores(waiting)
    return _storage(waiting)


def _cores(waiting: Waiting) -> str:
    text = (
        f"The {waiting.cores} cores were {waiting.busy:.0%} busy; parsing and decoding takes "
        f"{waiting.parse_seconds * 1e6:.0f} µs of a core per row, so that they give at most "
        f"{waiting.cores / waiting.parse_seconds:,.0f} rows/s: "
    )
    if waiting.encoded:
        return f"{text}set `storage: raw` for {_names(waiting.encoded)}, or train with more cores."
    return f"{text}train with more cores."


def _storage(waiting: Waiting) -> str:
    text = (
        f"The {waiting.cores} cores were only {waiting.busy:.0%} busy, and the shards came at "
        f"{waiting.rows_per_second * waiting.row_bytes / 1e6:,.1f} MB/s: put the workspace on "
        "faster storage"
    )
    if waiting.raw:
        text += f", or set `storage: jpeg` for {_names(waiting.raw)}"
    if waiting.files < OPEN_FILES:
        text += (
            f". There are {waiting.files} training shards, and as many are read at once; with more "
            f"partitions, up to {OPEN_FILES} are"
        )
    return f"{text}."


def _names(features: Sequence[str]) -> str:
    return ", ".join(features)


def parse_seconds(files: Sequence[ShardFile], layout: BatchLayout, batch_size: int) -> float:
    """Returns the time that one core takes to parse and decode a row.

    Args:
        files: Training shards; the first batch of them is parsed.
        layout: What the records hold.
        batch_size: Rows to parse at a time.
    """
    records = next(iter(raw_batches(files, batch_size)))
    parse = tf.function(lambda batch: model_batch(batch, layout))
    parse(records)
    taken = []
    for _ in range(_PROBE_BATCHES):
        # The process's own time: other threads have nothing to do now.
        started = time.process_time()
        parse(records)
        taken.append(time.process_time() - started)
    return min(taken) / int(records.shape[0])


def measured(
    files: Sequence[ShardFile],
    layout: BatchLayout,
    batch_size: int,
    *,
    share: float,
    first_share: float,
    seconds_per_batch: float,
    rows_per_second: float,
    cpu_share: float,
) -> Waiting:
    """Returns what was measured of a training, and measures what a row takes to parse.

    Args:
        files: Training shards.
        layout: What their records hold.
        batch_size: Rows in a batch.
        share: As `Waiting` has it, and so the next three.
        first_share: See there.
        seconds_per_batch: See there.
        rows_per_second: See there.
        cpu_share: CPU seconds of this process in a second.
    """
    cores = len(os.sched_getaffinity(0))
    images = {s.name: s.storage for s in layout.stored}
    return Waiting(
        share=share,
        first_share=first_share,
        seconds_per_batch=seconds_per_batch,
        batch_size=batch_size,
        rows_per_second=rows_per_second,
        row_bytes=sum(file.shard.bytes for file in files) / count_rows(files),
        parse_seconds=parse_seconds(files, layout, batch_size),
        busy=min(1.0, cpu_share / cores),
        cores=cores,
        files=len(files),
        encoded=tuple(name for name, storage in images.items() if storage in ("jpeg", "png")),
        raw=tuple(name for name, storage in images.items() if storage == "raw"),
    )
