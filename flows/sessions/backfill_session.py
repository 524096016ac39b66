"""What the steps of one backfill share: where everything lies, and who is told about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from flows.console.progress import Reporter, Steps
from flows.process.child import run_child
from flows.records.backfill_record import BackfillRecord, PartitionRecord, write_backfill
from flows.retention.locks import shards_lock
from flows.sessions.session import added
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError, ErrorReport
from transforms.contract.masking import masked
from transforms.contract.process.events import Progress
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.step import Step
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition

_R = TypeVar("_R", bound=BaseModel)


class Backfill:
    """One backfill under way. Holds locations and the record, never data.

    Args:
        pipeline: The declaration.
        workspace: Where everything lies.
        partitions: The range, in the order of the source.
        record: What is known so far.
        reporter: Who is told about progress.
        lock: The descriptor of the pipeline's held lock, which steps inherit.
        search_path: Where a user's own functions are imported from, if the declaration names any.
    """

    def __init__(
        self,
        pipeline: PipelineSpec,
        workspace: Workspace,
        partitions: tuple[Partition, ...],
        record: BackfillRecord,
        *,
        reporter: Reporter,
        lock: int,
        search_path: Path | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.workspace = workspace
        self.partitions = partitions
        self.record = record
        self.reporter = reporter
        self.search_path = search_path
        self.folder = workspace.backfills(pipeline.name) / record.backfill_id
        self.stopping = threading.Event()
        self._locks = [lock]
        self._saving = threading.Lock()
        self.save()

    @property
    def title(self) -> str:
        """The pipeline, for the names of tasks."""
        return self.pipeline.name

    @property
    def transform(self) -> str:
        """The fingerprint of the transform, which is known once it is frozen."""
        if self.record.transform is None:
            raise ValueError("a transform is frozen before partitions are transformed")
        return self.record.transform

    def pending(self) -> list[Partition]:
        """Returns the partitions that are neither committed nor failed."""
        return [p for p in self.partitions if self.record.partition(p.name).status == "pending"]

    def save(self) -> None:
        """Writes the record."""
        write_backfill(self.folder, self.record)

    def put(self, changed: PartitionRecord) -> None:
        """Records what became of a partition; several threads may do so at once."""
        with self._saving:
            self.record.put(changed)
            self.save()

    def fail(self, partition: Partition, error: Exception) -> None:
        """Records and tells that a partition failed."""
        report = error.report() if isinstance(error, BraidError) else _bug(error)
        record = self.record.partition(partition.name)
        self.put(record.model_copy(update={"status": "failed", "error": report}))
        self.reporter.failed(partition.name, report.headline())

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keeps other pipelines' runs from writing the same shards while the block runs."""
        lock = shards_lock(self.workspace, self.transform, self.pending(), self.reporter)
        with lock as descriptors, added(self._locks, descriptors):
            yield

    def run_child(
        self,
        step: Step[TransformJob, _R],
        name: str,
        job: TransformJob,
        on_progress: Callable[[Progress], None],
    ) -> _R:
        """Runs a step in a process of its own; `name` tells its job and log from the others'."""
        path = self.folder / "jobs" / f"{name}.json"
        write_atomic(path, job.model_dump_json(indent=2))
        return run_child(
            step,
            path,
            log=self.folder / "logs" / f"{name}.log",
            on_progress=on_progress,
            inherit=self._locks,
            search_path=self.search_path,
            stopping=self.stopping,
        ).result


@dataclass(frozen=True)
class PartitionWork:
    """One partition to transform.

    Attributes:
        backfill: What it is part of.
        partition: The partition.
        steps: Where its progress is shown, beside the others'.
    """

    backfill: Backfill
    partition: Partition
    steps: Steps

    @property
    def title(self) -> str:
        """The pipeline and the partition, for the name of the task."""
        return f"{self.backfill.title}, {self.partition.name}"


def _bug(error: Exception) -> ErrorReport:
    return ErrorReport(
        type=type(error).__name__,
        place="this partition",
        expected="a step without a bug",
        received=masked(str(error)) or type(error).__name__,
        action="Run again with BRAID_DEBUG=1 and report what it shows.",
    )
