"""Sizes and costs of the steps of a run, from what is committed and what earlier runs took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flows.records.record import RunRecord, StepRecord
from transforms.contract.workspace.manifest import ShardManifest
from transforms.contract.workspace.partition import Partition, PartitionId


@dataclass(frozen=True)
class PlannedStep:
    """A step that a run would do. What nothing tells is None.

    Attributes:
        name: The step's name.
        partitions: Partitions that it works on, if those are what it works on.
        rows: Rows of them.
        read_bytes: Bytes of their source files.
        seconds: As long as the last one took, for as many rows.
        peak_bytes: Resident memory of the largest process of the last one, in bytes.
        written_bytes: Bytes that it may leave on the disk.
    """

    name: str
    partitions: int | None = None
    rows: int | None = None
    read_bytes: int | None = None
    seconds: float | None = None
    peak_bytes: int | None = None
    written_bytes: int | None = None


class Estimates:
    """The time and memory that earlier runs of a pipeline took, and the rows of its partitions.

    Args:
        records: The pipeline's runs, the oldest first.
        manifests: Those of the committed partitions of the transform, which tell rows.
        partitions: What the source has.
        rows_of: Returns the rows of a partition that was never read, if its files tell them.
    """

    def __init__(
        self,
        records: Sequence[RunRecord],
        manifests: Mapping[PartitionId, ShardManifest],
        partitions: Sequence[Partition],
        rows_of: Callable[[Partition], int | None],
    ) -> None:
        self._records = records
        self._rows_of = rows_of
        self._known = {part.name: m.rows + m.left_out for part, m in manifests.items()}
        self._known_bytes = _bytes([part for part in partitions if part.name in self._known])

    def on_rows(self, name: str, partitions: Sequence[Partition]) -> PlannedStep:
        """Returns a step on the source's rows of some partitions."""
        last, rows = self._last(name), self._rows(partitions)
        return PlannedStep(
            name,
            partitions=len(partitions),
            rows=rows,
            read_bytes=_bytes(partitions),
            seconds=_scaled(last, rows),
            peak_bytes=None if last is None else last.peak_bytes,
            written_bytes=_written(last, rows),
        )

    def on_shards(self, name: str, partitions: Sequence[Partition]) -> PlannedStep:
        """Returns a step on the shards of some partitions."""
        last = self._last(name)
        record = self._record_with(name)
        # It works on the rows of one split: their share of the source's rows stays.
        share = None
        if record is not None and last is not None and last.rows and record.source_rows:
            share = last.rows / (record.source_rows + record.left_out)
        rows = self._rows(partitions)
        rows = None if rows is None or share is None else round(rows * share)
        return PlannedStep(
            name,
            partitions=len(partitions),
            rows=rows,
            seconds=_scaled(last, rows, _training_seconds(record)),
            peak_bytes=None if last is None else last.peak_bytes,
            written_bytes=None if last is None else last.written_bytes,
        )

    def as_before(self, name: str) -> PlannedStep:
        """Returns a step that takes what it took the last time."""
        last = self._last(name)
        if last is None:
            return PlannedStep(name)
        return PlannedStep(
            name,
            seconds=last.seconds,
            peak_bytes=last.peak_bytes,
            written_bytes=last.written_bytes,
        )

    def _last(self, name: str) -> StepRecord | None:
        record = self._record_with(name)
        return None if record is None else record.step(name)

    def _record_with(self, name: str) -> RunRecord | None:
        for record in reversed(self._records):
            step = record.step(name)
            if step is not None and step.seconds is not None:
                return record
        return None

    def _rows(self, partitions: Sequence[Partition]) -> int | None:
        """Returns the rows of partitions; of those that nobody knows, as their bytes say."""
        per_byte = self._rows_per_byte()
        total = 0.0
        for part in partitions:
            rows: float | None = self._known.get(part.name)
            if rows is None:
                rows = self._rows_of(part)
            if rows is None and per_byte is not None:
                rows = per_byte * _bytes([part])
            if rows is None:
                return None
            total += rows
        return round(total)

    def _rows_per_byte(self) -> float | None:
        return sum(self._known.values()) / self._known_bytes if self._known_bytes else None


def _bytes(partitions: Sequence[Partition]) -> int:
    return sum(file.size for part in partitions for file in part.files)


def _training_seconds(record: RunRecord | None) -> float | None:
    if record is None or record.training is None:
        return None
    return record.training.seconds + record.training.refit_seconds


def _scaled(last: StepRecord | None, rows: int | None, work: float | None = None) -> float | None:
    """Returns how long a step takes for other rows: its start stays, its work grows with them.

    Args:
        last: The step as it was taken the last time.
        rows: The rows that it is to work on now.
        work: How many of its seconds were work; by default as its rate says.
    """
    if last is None or last.seconds is None or rows is None or not last.rows:
        return None
    if work is None:
        work = last.rows / last.rows_per_second if last.rows_per_second else last.seconds
    work = min(work, last.seconds)
    return last.seconds - work + work * rows / last.rows


def _written(last: StepRecord | None, rows: int | None) -> int | None:
    if last is None or not last.rows or last.written_bytes is None or rows is None:
        return None
    return round(last.written_bytes * rows / last.rows)
