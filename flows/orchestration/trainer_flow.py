"""The Prefect flow of a machine that trains: one step of a run, handed over by the pipeline's flow.

Such a machine has the group `train` of `pyproject.toml` alone: what this imports knows nothing of
tables and transforms. Where the store is a bucket, it shares no folder with the flow's machine: the
attempt lies in the bucket, and the run's files come from there and go there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prefect import flow
from pydantic import BaseModel

from flows.console.progress import Reporter, console
from flows.orchestration.telling.task_log import TaskLog
from flows.process.attempt import LOCK_FILE, Attempt, Outcome
from flows.process.child import Done, StepDied, run_child
from flows.process.inputs import take_over
from flows.process.run_copies import RunCopies, remove_pushed_runs
from trainer.run_folder import LOGS_FOLDER
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress, Returned
from transforms.contract.process.user_folder import user_folder
from transforms.contract.steps.step import TRAINER_STEPS
from transforms.contract.workspace.bucket import BucketPath, StoreFailed
from transforms.contract.workspace.files import remove_temporaries
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import waiting_lock

WORKSPACE_VARIABLE = "BRAID_WORKSPACE"  # of a worker: where it has its copies of runs
_PROGRESS_SECONDS = 1.0  # between two files that tell how far a step is


@flow(name="braid-train", persist_result=False)
def run_trainer_step(
    step: str, attempt: str, search_path: str | None = None, store: str | None = None
) -> None:
    """Runs `python -m trainer STEP JOB`; the result or the error go into the attempt's folder.

    Another attempt at a step of the same run is waited for: two would write the same files.

    Args:
        step: "train", "export", "evaluate" or "check".
        attempt: The attempt's folder, in the workspace that the machines share, or in the store.
        search_path: A folder whose modules the step may import, for a user's own functions, where
            the workspace is shared.
        store: The bucket in which the attempt lies, if it does.

    Raises:
        BraidError: The step failed, or the folder is not there.
    """
    reporter = Reporter(console(), journal=TaskLog())
    if store is None:
        order = _Order(step, Attempt(Path(attempt)), Path(attempt).parent.parent, reporter)
    else:
        order = _order_in(store, step, attempt, reporter)
    with order.alone() as lock:
        try:
            if isinstance(order.attempt.folder, BucketPath):
                done = _run_on_copies(order, order.attempt.folder, lock)
            else:
                modules = None if search_path is None else Path(search_path)
                done = order.run(Path(attempt) / order.attempt.job_file.name, modules, lock)
        except BraidError as error:
            _refuse_given_up(order.attempt)
            died = isinstance(error, StepDied)
            order.attempt.put_outcome(Outcome(error=ErrorReport.of(error), died=died))
            raise
        returned = Returned(result=done.result.model_dump_json(), peak_bytes=done.peak_bytes)
        order.attempt.put_outcome(Outcome(returned=returned))


@dataclass(frozen=True)
class _Order:
    """A step that was handed over to this machine.

    Attributes:
        step: Its name.
        attempt: What came, and where its outcome goes.
        folder: The run's on this machine.
        reporter: Who is told about progress here.
    """

    step: str
    attempt: Attempt
    folder: Path
    reporter: Reporter

    @contextmanager
    def alone(self) -> Iterator[int]:
        """Waits for another attempt at the run on this machine; gives the lock's descriptor."""

        def waiting(held: BraidError) -> None:
            self.reporter.note(
                f"  another attempt works on this run ({held.received}); waiting for it"
            )

        _refuse_given_up(self.attempt)
        lock = self.folder / LOCK_FILE
        with waiting_lock(lock, holder=str(self.folder), on_wait=waiting) as descriptor:
            _refuse_given_up(self.attempt)
            yield descriptor

    def run(self, job_file: Path, search_path: Path | None, lock: int) -> Done[BaseModel]:
        """Runs the step in a process of its own, and tells whoever waits how far it is."""
        with self.reporter.step(self.step) as view:
            told = _Telling(self.attempt)

            def progress(event: Progress) -> None:
                view.update(event)
                told.update(event)

            return run_child(
                TRAINER_STEPS[self.step],
                job_file,
                log=self.folder / LOGS_FOLDER / f"{self.step}.log",
                on_progress=progress,
                inherit=[lock],
                search_path=search_path,
            )


def _order_in(store: str, step: str, attempt: str, reporter: Reporter) -> _Order:
    """Returns what was handed over through a bucket, for a workspace of this machine's own."""
    root = Path(os.environ.get(WORKSPACE_VARIABLE) or user_folder("workspace")).absolute()
    workspace = Workspace.declared(root, StoreSpec(path=store))
    if not isinstance(workspace.stored, BucketPath):
        raise ValueError(f"a bucket is to be handed over, not {store}")
    place = workspace.stored / attempt
    run = place.parent.parent
    return _Order(step, Attempt(place), workspace.run(run.parent.name, run.name), reporter)


def _run_on_copies(order: _Order, attempt: BucketPath, lock: int) -> Done[BaseModel]:
    """Runs a step on the run's copies, and puts into the store what it leaves.

    Whatever happens to this machine, another one goes on from what was put there last.
    """
    remove_pushed_runs(order.folder)
    remove_temporaries(order.folder)
    copies = RunCopies(order.folder, attempt.parent.parent)
    copies.pull()
    workspace = order.folder.parents[2]
    taken = take_over(attempt, order.step, workspace, order.folder)
    with copies.pushing(lambda: not order.attempt.is_given_up(), order.reporter.note):
        return order.run(taken.job_file, taken.search_path, lock)


class _Telling:
    """Writes progress for whoever waits, and stops the step once nobody does."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._told = -_PROGRESS_SECONDS

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told < _PROGRESS_SECONDS:
            return
        self._told = now
        with suppress(StoreFailed):  # a bucket that is away for a while ends no training
            _refuse_given_up(self._attempt)
            self._attempt.put_progress(progress)


def _refuse_given_up(attempt: Attempt) -> None:
    if attempt.is_given_up():
        otherwise = (
            "."
            if isinstance(attempt.folder, BucketPath)
            else ". Otherwise mount the workspace at the same path on the machines of both pools."
        )
        raise BraidError(
            str(attempt.folder),
            expected="the job of this attempt",
            received="no such file",
            action=f"If the run was stopped meanwhile, nothing is to do{otherwise}",
        )
