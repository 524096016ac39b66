"""What the steps of one run share: where everything lies, and who is told about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, cast

from pydantic import BaseModel

from flows.console.harmless import plain
from flows.console.progress import Reporter, summary
from flows.process.child import Done, run_child
from flows.records.record import StepRecord, write_record
from flows.records.run_identity import OpenedRun
from trainer.run_folder import EXPORT_FOLDER
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.process.events import Progress
from transforms.contract.spec import Spec
from transforms.contract.steps.jobs import PartitionRef, TrainJob, TransformJob, WarmStart
from transforms.contract.steps.results import RowsResult
from transforms.contract.steps.step import Step
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice
from transforms.source.partitions import choose

_J = TypeVar("_J", bound=Spec)
_R = TypeVar("_R", bound=BaseModel)


class Elsewhere(Protocol):
    """Runs the trainer's steps on another machine."""

    def __call__(
        self,
        step: Step[TrainJob, _R],
        job: TrainJob,
        on_progress: Callable[[Progress], None],
        stopping: threading.Event,
    ) -> Done[_R]:
        """Runs a step, tells its progress, and returns its result; the event ends it."""
        ...


class Session:
    """One run under way. Holds locations and the record, never data.

    Two steps may be under way at the same time. Each changes the record in a block of `recording`;
    `stopping` ends them both.

    Args:
        pipeline: The declaration.
        workspace: Where everything lies.
        run: The run and what is known of it.
        choice: The transform.
        partitions: The source's partitions; some of them train.
        reporter: Who is told about progress.
        search_path: Where a user's own functions are imported from, if the declaration names any.
        elsewhere: Runs the trainer's steps; without it they are child processes of this one.
    """

    def __init__(
        self,
        pipeline: PipelineSpec,
        workspace: Workspace,
        run: OpenedRun,
        *,
        choice: TransformChoice,
        partitions: tuple[Partition, ...],
        reporter: Reporter,
        search_path: Path | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.workspace = workspace
        self.folder = run.folder
        self.record = run.record
        self.transform = choice.name
        self.drift = choice.drift
        self._base = choice.base
        self.partitions = partitions
        self.reporter = reporter
        self.search_path = search_path
        self._elsewhere = elsewhere
        self.recording = threading.RLock()
        self.stopping = threading.Event()
        self._locks: list[int] = []
        self._shard_locks: list[int] = []

    @property
    def title(self) -> str:
        """The pipeline and the partitions that it works on, for the names of tasks."""
        return title_of(self.pipeline, self.partitions)

    @property
    def trained(self) -> tuple[Partition, ...]:
        """The partitions whose rows train, validate and test: `training.partitions`."""
        return choose(self.partitions, self.pipeline.training)

    @property
    def export_folder(self) -> Path:
        """The folder of the run's exported model."""
        return self.folder / EXPORT_FOLDER

    @contextmanager
    def child_locks(self, *descriptors: int) -> Iterator[None]:
        """Lets every step of the block inherit descriptors of held locks."""
        with added(self._locks, descriptors):
            yield

    @contextmanager
    def shard_locks(self, *descriptors: int) -> Iterator[None]:
        """Lets the block's steps that write shards inherit descriptors of held locks.

        A training that begins within the block outlives it, and would hold them for too long.
        """
        with added(self._shard_locks, descriptors):
            yield

    def save(self) -> None:
        """Writes the run's record."""
        with self.recording:
            write_record(self.folder, self.record)

    def note_drift(self, measured: StepRecord | None) -> None:
        """Records what decided on the transform, if drift did, and the step that measured it."""
        if self.drift is not None:
            self.record.drift = self.drift
        if measured is not None:
            self.record.put_step(measured)
        self.save()

    def skip(self, step: str, why: str) -> None:
        """Records that a step has nothing to do, unless an earlier attempt of the run did it."""
        with self.recording:
            if self.record.step(step) is None:
                self.record.put_step(StepRecord(name=step, note=why))
                self.save()
        self.reporter.skipped(step, why)

    def finish(self, step: StepRecord, text: str) -> None:
        """Records a step that is done."""
        with self.recording:
            self.record.put_step(step)
            self.save()
        self.reporter.done(step.name, text)

    def was_done(self, step: str) -> bool:
        """Returns whether an earlier attempt of this run did a step; says so if it did."""
        if self.record.step(step) is None:
            return False
        self.reporter.skipped(step, "done by the earlier attempt of this run")
        return True

    def transform_job(self, partitions: Sequence[Partition]) -> TransformJob:
        """Returns the job of analyzing or transforming some partitions."""
        return TransformJob(
            pipeline=self.pipeline,
            workspace=str(self.workspace.root),
            transform=self.transform,
            partitions=tuple(partitions),
            base=self._base,
        )

    def train_job(
        self, champion: Path | None = None, *, warm_start: WarmStart | None = None
    ) -> TrainJob:
        """Returns the job of every step after the shards."""
        return TrainJob(
            pipeline=self.pipeline.modelled(),
            workspace=str(self.workspace.root),
            transform=self.transform,
            partitions=tuple(
                PartitionRef(name=part.name, fingerprint=part.fingerprint) for part in self.trained
            ),
            run_folder=str(self.folder),
            champion=None if champion is None else str(champion),
            warm_start=warm_start,
        )

    def run_child(self, step: Step[_J, _R], job: _J) -> _R:
        """Runs a step in a process of its own and shows its progress."""
        with self.reporter.step(step.name) as view:
            if self._elsewhere is not None and isinstance(job, TrainJob):
                elsewhere = cast("Step[TrainJob, _R]", step)
                return self._elsewhere(elsewhere, job, view.update, self.stopping).result
            path = self.folder / "jobs" / f"{step.name}.json"
            write_atomic(path, job.model_dump_json(indent=2))
            writes_shards = isinstance(job, TransformJob)
            return run_child(
                step,
                path,
                log=self.folder / "logs" / f"{step.name}.log",
                on_progress=view.update,
                inherit=[*self._locks, *(self._shard_locks if writes_shards else ())],
                search_path=self.search_path,
                stopping=self.stopping,
            ).result


@contextmanager
def added(locks: list[int], descriptors: Sequence[int]) -> Iterator[None]:
    """Adds descriptors of held locks to those that steps inherit, while the block runs."""
    locks.extend(descriptors)
    try:
        yield
    finally:
        for descriptor in descriptors:
            locks.remove(descriptor)


def title_of(pipeline: PipelineSpec, partitions: Sequence[Partition]) -> str:
    """Returns what a run works on, in a few words."""
    return plain(f"{pipeline.name}, {span(partitions)}")


def search_path(pipeline: PipelineSpec, declaration: Path) -> Path | None:
    """Returns where the user's own modules lie; None if the declaration names none."""
    return declaration.absolute().parent if pipeline.has_user_code() else None


def span(partitions: Sequence[Partition]) -> str:
    """Returns which partitions these are, in the order of the source, in a few words."""
    first, last = partitions[0].name, partitions[-1].name
    return first if len(partitions) == 1 else f"{first} to {last} ({len(partitions)} partitions)"


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Returns the seconds so far."""
        return time.monotonic() - self._started


def rows_step(name: str, watch: Stopwatch, result: RowsResult, note: str) -> StepRecord:
    """Returns the record of a step that worked on rows.

    The seconds are all that the step took; the rate leaves out the start of its process.
    """
    rows, working = result.rows, result.seconds
    return StepRecord(
        name=name,
        seconds=round(watch.seconds(), 3),
        rows=rows,
        rows_per_second=round(rows / working, 1) if working > 0 else None,
        note=note,
    )


def rows_text(step: StepRecord) -> str:
    """Returns the line that tells a person how such a step went."""
    parts = [summary(step.rows, None), f"{step.seconds:.1f} s"]
    if step.rows_per_second:
        parts.append(f"{step.rows_per_second:,.0f} rows/s")
    if step.note:
        parts.append(step.note)
    return " · ".join(parts)
