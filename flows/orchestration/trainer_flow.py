"""The Prefect flow of a machine that trains: one step of a run, handed over by the pipeline's flow.

Such a machine has the group `train` of `pyproject.toml` alone: what this imports knows nothing of
tables and transforms.
"""

from __future__ import annotations

import time
from pathlib import Path

from prefect import flow

from flows.console.progress import Reporter, console
from flows.orchestration.telling.task_log import TaskLog
from flows.process.attempt import LOCK_FILE, Attempt, Outcome
from flows.process.child import StepDied, run_child
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress, Returned
from transforms.contract.steps.step import TRAINER_STEPS
from transforms.contract.workspace.locks import waiting_lock

_PROGRESS_SECONDS = 1.0  # between two files that tell how far a step is


@flow(name="braid-train", persist_result=False)
def run_trainer_step(step: str, attempt: str, search_path: str | None = None) -> None:
    """Runs `python -m trainer STEP JOB`; the result or the error go into the attempt's folder.

    Another attempt at a step of the same run is waited for: two would write the same files.

    Args:
        step: "train", "export", "evaluate" or "check".
        attempt: The attempt's folder, in the workspace that the machines share.
        search_path: A folder whose modules the step may import, for a user's own functions.

    Raises:
        BraidError: The step failed, or the folder is not there.
    """
    order = Attempt(Path(attempt))
    reporter = Reporter(console(), journal=TaskLog())

    def waiting(held: BraidError) -> None:
        reporter.note(f"  another attempt works on this run ({held.received}); waiting for it")

    _refuse_given_up(order)
    lock = order.run_folder / LOCK_FILE
    with waiting_lock(lock, holder=str(order.run_folder), on_wait=waiting) as descriptor:
        _refuse_given_up(order)
        try:
            with reporter.step(step) as view:
                told = _Telling(order)

                def progress(event: Progress) -> None:
                    view.update(event)
                    told.update(event)

                done = run_child(
                    TRAINER_STEPS[step],
                    order.job_file,
                    log=order.run_folder / "logs" / f"{step}.log",
                    on_progress=progress,
                    inherit=[descriptor],
                    search_path=None if search_path is None else Path(search_path),
                )
        except BraidError as error:
            _refuse_given_up(order)
            died = isinstance(error, StepDied)
            order.put_outcome(Outcome(error=ErrorReport.of(error), died=died))
            raise
        returned = Returned(result=done.result.model_dump_json(), peak_bytes=done.peak_bytes)
        order.put_outcome(Outcome(returned=returned))


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
        _refuse_given_up(self._attempt)
        self._attempt.put_progress(progress)


def _refuse_given_up(attempt: Attempt) -> None:
    if attempt.is_given_up():
        raise BraidError(
            str(attempt.folder),
            expected="the job of this attempt",
            received="no such file",
            action="If the run was stopped meanwhile, nothing is to do. Otherwise mount the "
            "workspace at the same path on the machines of both pools.",
        )
