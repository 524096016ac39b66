"""The handover of a trainer's step to a process of another machine, and of its outcome back.

An attempt is a folder among the run's own, where both machines see it: in the workspace that they
share, or, where the store is a bucket, among the run's copies there. Each file in it is there whole
or not at all. An attempt whose job is gone has been given up.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress, Returned
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.documents import read_json
from transforms.contract.workspace.files import Place, remove, remove_temporaries, write_atomic
from transforms.contract.workspace.locks import exclusive_lock

ATTEMPTS_FOLDER = "dispatched"
# Held while a step of the run works in its folder; the system releases it when its holders die.
LOCK_FILE = "trainer.lock"

JOB_FILE = "job.json"
_PROGRESS_FILE = "progress.json"
_OUTCOME_FILE = "outcome.json"


class Outcome(BaseModel):
    """The end of an attempt: a result, or an error for the user.

    Attributes:
        returned: The step's result.
        error: What went wrong.
        died: Whether the step's process died, so that another attempt may do better.
    """

    model_config = ConfigDict(frozen=True)

    returned: Returned | None = None
    error: ErrorReport | None = None
    died: bool = False


@dataclass(frozen=True)
class Attempt:
    """One attempt at one step of a run.

    Attributes:
        folder: Its own, in a workspace or in a bucket.
    """

    folder: Place

    @property
    def run_folder(self) -> Place:
        """The folder of the run, or the place of its copies."""
        return self.folder.parent.parent

    @property
    def job_file(self) -> Place:
        """The file with the step's job, which makes the attempt one."""
        return self.folder / JOB_FILE

    def is_given_up(self) -> bool:
        """Returns whether nobody waits for it any more."""
        return not self.job_file.exists()

    def give_up(self) -> None:
        """Tells its process, if there still is one, that nobody waits for it."""
        remove(self.job_file)
        if isinstance(self.folder, BucketPath):
            self.folder.delete()
            return
        shutil.rmtree(self.folder, ignore_errors=True)  # that process may be writing there
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()  # there may be attempts at other steps

    def is_for(self, job: TrainJob) -> bool:
        """Returns whether it is an attempt at this very job."""
        return self.job_file.exists() and self.job_file.read_bytes() == _text(job).encode()

    def put_progress(self, progress: Progress) -> None:
        """Tells how far the step is."""
        write_atomic(self.folder / _PROGRESS_FILE, progress.model_dump_json())

    def progress(self) -> Progress | None:
        """Returns how far the step is, if it has told."""
        path = self.folder / _PROGRESS_FILE
        return read_json(path, Progress) if path.exists() else None

    def put_outcome(self, outcome: Outcome) -> None:
        """Tells how the step ended."""
        write_atomic(self.folder / _OUTCOME_FILE, outcome.model_dump_json())

    def outcome(self) -> Outcome | None:
        """Returns how the step ended, if it has."""
        path = self.folder / _OUTCOME_FILE
        return read_json(path, Outcome) if path.exists() else None


def new_attempt(
    run_folder: Place,
    step: str,
    job: TrainJob,
    prepare: Callable[[Place], None] = lambda _: None,
) -> Attempt:
    """Returns a new attempt, under a name that no other has.

    Args:
        run_folder: The folder of the run, or the place of its copies.
        step: The step.
        job: Its job.
        prepare: Puts into the attempt's folder what has to be there before the job is.
    """
    attempt = Attempt(run_folder / ATTEMPTS_FOLDER / f"{step}-{uuid.uuid4().hex[:8]}")
    prepare(attempt.folder)
    write_atomic(attempt.job_file, _text(job))
    return attempt


def attempts(run_folder: Place, step: str | None = None) -> Iterator[Attempt]:
    """Yields the attempts at a step, or at any, whose folders are there."""
    folder = run_folder / ATTEMPTS_FOLDER
    below: Iterable[Place] = (
        folder.folders() if isinstance(folder, BucketPath) else sorted(folder.glob("*-*"))
    )
    for each in below:
        if step is None or each.name.rpartition("-")[0] == step:
            yield Attempt(each)


def remove_leftovers_of_the_dead(run_folder: Path) -> None:
    """Removes what killed processes left under temporary names, unless an attempt still works."""
    lock = run_folder / LOCK_FILE
    if not lock.exists():  # no step of this run was ever handed over
        remove_temporaries(run_folder)
        return
    with contextlib.suppress(BraidError), exclusive_lock(lock, holder=str(run_folder)):
        remove_temporaries(run_folder)


def _text(job: TrainJob) -> str:
    return job.model_dump_json(indent=2)
