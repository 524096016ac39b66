"""The record of a backfill, `backfill.json`, in a folder of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field

from flows.records.kept import KeptRecord, WorkRecord, read_all, read_kept
from transforms.contract.error_report import ErrorReport
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import PartitionId

RECORD_FILE = "backfill.json"

Training = Literal["once", "each", "none"]
PartitionStatus = Literal["pending", "done", "skipped", "failed"]


class PartitionRecord(KeptRecord):
    """The outcome of one partition.

    Attributes:
        fingerprint: The fingerprint of its source files.
        rows: Rows that its source has, unusable ones included.
        rejected: Rows of them that could not be used.
        seconds: How long it took; None if nothing was done.
        note: Why it was skipped.
        error: What failed it.
    """

    name: str
    fingerprint: str
    status: PartitionStatus = "pending"
    rows: int | None = None
    rejected: int | None = None
    seconds: float | None = None
    note: str = ""
    error: ErrorReport | None = None

    @property
    def id(self) -> PartitionId:
        """The partition's identity."""
        return PartitionId(self.name, self.fingerprint)


class BackfillRecord(WorkRecord):
    """One backfill: which partitions, what became of each, and which runs trained on them.

    Attributes:
        status: "done" if no partition failed and the training ended, whatever the gate decided;
            "stopped" by Ctrl-C or SIGTERM.
        transform: The fingerprint of the one transform of all partitions, once it is known.
        runs: The ids of the training runs, in order.
        outcome: How the last of them ended; "trained" in records of older versions.
    """

    backfill_id: str
    status: Literal["running", "done", "failed", "stopped"] = "running"
    workers: int
    train: Training
    transform: str | None = None
    partitions: list[PartitionRecord]
    runs: list[str] = []
    outcome: Literal["promoted", "refused"] | None = Field(
        default=None, validation_alias=AliasChoices("outcome", "trained")
    )

    def end_as(self, status: Literal["stopped", "failed"]) -> None:
        """Sets how it ended."""
        self.status = status

    def pending(self) -> list[str]:
        """Returns the names of the partitions that are neither committed nor failed."""
        return [part.name for part in self.partitions if part.status == "pending"]

    def partition(self, name: str) -> PartitionRecord:
        """Returns the record of a partition."""
        return next(part for part in self.partitions if part.name == name)

    def put(self, changed: PartitionRecord) -> None:
        """Puts a partition's record in the place of its earlier one."""
        self.partitions = [
            changed if part.name == changed.name else part for part in self.partitions
        ]

    def failed(self) -> list[PartitionRecord]:
        """Returns the partitions that failed."""
        return [part for part in self.partitions if part.status == "failed"]

    def counts(self) -> str:
        """Returns "15 done, 1 failed" and the like."""
        by_status = Counter(part.status for part in self.partitions)
        named: tuple[PartitionStatus, ...] = ("done", "skipped", "failed", "pending")
        return ", ".join(f"{by_status[name]} {name}" for name in named if by_status[name])

    def seconds(self) -> float:
        """Returns how long the backfill took, or 0 if it has not ended."""
        return 0.0 if self.ended is None else (self.ended - self.started).total_seconds()


def read_backfill(folder: Path) -> BackfillRecord | None:
    """Returns a backfill's record, or None if there is none.

    Raises:
        DamagedFile: It is not as it was written.
    """
    return read_kept(folder / RECORD_FILE, BackfillRecord)


def read_backfills(workspace: Workspace, pipeline: str) -> list[tuple[Path, BackfillRecord]]:
    """Returns a pipeline's backfills with their folders, the oldest first."""
    return read_all(workspace.backfills(pipeline), RECORD_FILE, BackfillRecord)
