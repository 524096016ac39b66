"""Results of steps: for the record, for whoever looks on, and for the steps that follow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Generic, TypeVar

from flows.console.progress import summary
from flows.process.child import Done
from flows.records.record import StepRecord
from transforms.contract.steps.results import RowsResult

_T = TypeVar("_T")


@dataclass(frozen=True)
class StepResult(Generic[_T]):
    """The outcome of a step. The flow writes it into the record and tells it.

    Attributes:
        name: The step.
        text: What a person is told.
        value: What the steps after it need.
        record: What the record keeps of it; None of a step that is not listed there.
        was_idle: Whether there was nothing to do.
        details: Lines for whoever reads the step's own log, such as its rejects by reason.
    """

    name: str
    text: str
    value: _T
    record: StepRecord | None = None
    was_idle: bool = False
    details: tuple[str, ...] = ()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Returns the seconds so far."""
        return time.monotonic() - self._started


def idle(name: str, why: str, value: _T) -> StepResult[_T]:
    """Returns the result of a step that had nothing to do."""
    return StepResult(name, why, value, StepRecord(name=name, note=why), was_idle=True)


def timed(
    name: str,
    watch: Stopwatch,
    text: str,
    value: _T,
    *,
    peak_bytes: int = 0,
    written_bytes: int | None = None,
) -> StepResult[_T]:
    """Returns the result of a step that has a time and a sentence, and no rows."""
    record = StepRecord(
        name=name,
        seconds=round(watch.seconds(), 3),
        note=text,
        peak_bytes=peak_bytes or None,
        written_bytes=written_bytes,
    )
    return StepResult(name, f"{watch.seconds():.1f} s · {text}", value, record)


def on_rows(
    name: str,
    watch: Stopwatch,
    done: Done[RowsResult],
    note: str,
    *,
    written_bytes: int | None = None,
) -> StepResult[None]:
    """Returns the result of a step of its own process that worked on rows.

    The seconds are all that the step took; the rate leaves out the start of its process.
    """
    rows, working = done.result.rows, done.result.seconds
    record = StepRecord(
        name=name,
        seconds=round(watch.seconds(), 3),
        rows=rows,
        rows_per_second=round(rows / working, 1) if working > 0 else None,
        note=note,
        peak_bytes=done.peak_bytes or None,
        written_bytes=written_bytes,
    )
    return StepResult(name, rows_text(record), None, record)


def rows_text(step: StepRecord) -> str:
    """Returns the line that tells a person how a step on rows went."""
    parts = [summary(step.rows, None), f"{step.seconds:.1f} s"]
    if step.rows_per_second:
        parts.append(f"{step.rows_per_second:,.0f} rows/s")
    if step.note:
        parts.append(step.note)
    return " · ".join(parts)
