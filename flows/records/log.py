"""The record of a run or a backfill under way, which its flow alone writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from flows.console.failures import stop_of
from flows.console.progress import Reporter
from flows.records.backfill_record import RECORD_FILE as BACKFILL_FILE
from flows.records.backfill_record import BackfillRecord
from flows.records.kept import WorkRecord, write_kept
from flows.records.record import RECORD_FILE, RunRecord
from flows.records.step_result import StepResult

_R = TypeVar("_R", bound=WorkRecord)
_T = TypeVar("_T")


class WorkLog(Generic[_R]):
    """A record in its folder, changed in blocks that end with its being written.

    Several threads may do so: two steps of a run, or the partitions of a backfill.

    Args:
        folder: The folder of the run or the backfill.
        file: The record's file in it.
        record: What is known so far.
        reporter: Who is told what becomes of it.
    """

    def __init__(self, folder: Path, file: str, record: _R, reporter: Reporter) -> None:
        self.folder = folder
        self.record = record
        self.reporter = reporter
        self._file = file
        self._changing = threading.RLock()
        self._depth = 0

    @contextmanager
    def recording(self) -> Iterator[_R]:
        """Gives the record, to be changed; it is written at the end of the outermost block."""
        with self._changing:
            self._depth += 1
            try:
                yield self.record
            finally:
                self._depth -= 1
            if not self._depth:
                write_kept(self.folder / self._file, self.record)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Records what ends the block, if that is an error; whoever looks at it has it anyway."""
        try:
            yield
        except BaseException as error:
            try:
                with self.recording() as record:
                    record.end_by(error, stop_of(error))
            except OSError as second:
                # A full disk, most likely, and what failed the work too. The record says "running"
                # still, which the next command takes for killed and resumes.
                self.reporter.note(f"  {self._file} could not be written: {second.strerror}")
            raise


class RunLog(WorkLog[RunRecord]):
    """The record of a run; a tuning's up to its shards."""

    def __init__(self, folder: Path, record: RunRecord, reporter: Reporter) -> None:
        super().__init__(folder, RECORD_FILE, record, reporter)

    def was_done(self, step: str) -> bool:
        """Returns whether an earlier attempt of this run did a step; says so if it did."""
        if self.record.step(step) is None:
            return False
        self.reporter.skipped(step, "done by the earlier attempt of this run")
        return True

    def put(self, result: StepResult[_T]) -> _T:
        """Records and tells what a step did, and returns its value.

        What an earlier attempt of the run did stays, where now nothing was to do.
        """
        with self.recording() as record:
            if result.record is not None and not (result.was_idle and record.step(result.name)):
                record.put_step(result.record)
        tell = self.reporter.skipped if result.was_idle else self.reporter.done
        tell(result.name, result.text)
        for line in result.details:
            self.reporter.detail(line)
        return result.value


class BackfillLog(WorkLog[BackfillRecord]):
    """The record of a backfill."""

    def __init__(self, folder: Path, record: BackfillRecord, reporter: Reporter) -> None:
        super().__init__(folder, BACKFILL_FILE, record, reporter)
