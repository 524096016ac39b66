"""Processes of the heavy steps of one run or backfill: their jobs, logs, locks and progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar, cast

from pydantic import BaseModel

from flows.console.progress import Reporter, Steps, StepView
from flows.process.child import Done, run_child
from flows.retention.exclusion import Hold
from transforms.contract.process.events import Progress
from transforms.contract.spec import Spec
from transforms.contract.steps.jobs import TrainJob, TransformJob
from transforms.contract.steps.step import Step
from transforms.contract.workspace.files import write_atomic

_J = TypeVar("_J", bound=Spec)
_R = TypeVar("_R", bound=BaseModel)
_T = TypeVar("_T")


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


@dataclass(frozen=True)
class Processes:
    """Starts the steps of one run or backfill that need a process of their own.

    Attributes:
        folder: The folder of the run or the backfill, with the jobs and the logs.
        reporter: Who is told about progress.
        search_path: Where a user's own functions are imported from, if the declaration names any.
        elsewhere: Runs the trainer's steps; without it they are child processes of this one.
        stopping: Ends all steps that are under way.
        name: What tells jobs and logs of one partition from those of others; by default the step.
        shown: Where progress is shown, beside that of other partitions.
    """

    folder: Path
    reporter: Reporter
    search_path: Path | None = None
    elsewhere: Elsewhere | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    name: str | None = None
    shown: Steps | None = None
    _locks: list[int] = field(default_factory=list)
    _holds: list[Hold] = field(default_factory=list)

    def of_partition(self, name: str, shown: Steps) -> Processes:
        """Returns the same for the steps on one partition, which run beside those on others."""
        return replace(self, name=name, shown=shown)

    @contextmanager
    def inheriting(self, *descriptors: int) -> Iterator[None]:
        """Lets every step of the block inherit descriptors of held locks."""
        with _added(self._locks, descriptors):
            yield

    @contextmanager
    def holding_shards(self, hold: Hold | None) -> Iterator[None]:
        """Lets the block's steps that write shards do so under a hold, whose lock they inherit.

        A training that begins within the block outlives it, and would hold it for too long.
        """
        with _added(self._holds, () if hold is None else (hold,)):
            yield

    def run(
        self,
        step: Step[_J, _R],
        job: _J,
        show: Callable[[StepView, Progress], None] = lambda view, progress: view.update(progress),
    ) -> Done[_R]:
        """Runs a step in a process of its own and shows its progress.

        Args:
            step: The step.
            job: What it is handed over with.
            show: Shows progress.

        Raises:
            BraidError: The step failed, or was stopped.
        """
        name = self.name or step.name
        with (self.shown or self.reporter).step(name) as view:

            def on_progress(progress: Progress) -> None:
                show(view, progress)

            if self.elsewhere is not None and isinstance(job, TrainJob):
                elsewhere = cast("Step[TrainJob, _R]", step)
                return self.elsewhere(elsewhere, job, on_progress, self.stopping)
            file = name.replace("/", ",")
            path = self.folder / "jobs" / f"{file}.json"
            holds = self._holds if isinstance(job, TransformJob) else ()
            told = job.model_copy(update={"lease": _lease(holds)}) if holds else job
            write_atomic(path, told.model_dump_json(indent=2))
            return run_child(
                step,
                path,
                log=self.folder / "logs" / f"{file}.log",
                on_progress=on_progress,
                inherit=[*self._locks, *(hold.descriptor for hold in holds)],
                search_path=self.search_path,
                stopping=self.stopping,
            )


def _lease(holds: Sequence[Hold]) -> str | None:
    """Returns the token of the lease of some holds; None if there is none."""
    return next((hold.lease.token for hold in holds if hold.lease is not None), None)


@contextmanager
def _added(all_: list[_T], added: Sequence[_T]) -> Iterator[None]:
    all_.extend(added)
    try:
        yield
    finally:
        for each in added:
            all_.remove(each)
