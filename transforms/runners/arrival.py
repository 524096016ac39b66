"""The sign of a worker on another machine that it is there, and sees what it writes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transforms.contract.errors import BraidError
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.files import Place, write_atomic
from transforms.contract.workspace.locks import this_process

ARRIVED_SUFFIX = ".arrived"


@dataclass(frozen=True)
class Arrival:
    """The files of a job by which its workers and who waits for it know of each other.

    Attributes:
        lock: A file of the workspace that is there while somebody waits for the job; None where the
            workers are threads of this process. The first worker writes another beside it.
        signs: A folder in a bucket that has an object for either file: workers look there, and need
            no folder of the workspace. None is the workspace's own folder.
    """

    lock: Path | None = None
    signs: BucketPath | None = None

    def tell(self) -> None:
        """Says that this worker is there.

        Raises:
            BraidError: It does not see the workspace or the bucket, or cannot write there, or
                nobody waits for the job any more.
        """
        if self.lock is None:
            return
        path = self.lock.with_suffix(ARRIVED_SUFFIX)
        if self.signs is not None:
            self.refuse_forsaken()
            write_atomic(sign_of(path, self.signs), this_process())
            return
        if path.parent.exists():  # else it is the workspace that is not there
            self.refuse_forsaken()
        try:
            path.write_text(this_process(), encoding="utf-8")
        except OSError as error:
            raise BraidError(
                str(path.parent),
                expected="the workspace, by the same path as here, to be written by every worker",
                received=f"{error.strerror} in process {this_process()}",
                action="Give a --workspace on a file system that this machine and the workers "
                "share, or declare a store in a bucket.",
            ) from error

    def is_told(self) -> bool:
        """Returns whether a worker has said so."""
        if self.lock is None:
            return False
        return sign_of(self.lock.with_suffix(ARRIVED_SUFFIX), self.signs).exists()

    def refuse_forsaken(self) -> None:
        """Refuses to work for a job that nobody waits for any more.

        A job that could not be cancelled, as its job server died, would otherwise hold its slots
        until all its work is done.

        Raises:
            BraidError: It is one.
        """
        if self.lock is not None and not sign_of(self.lock, self.signs).exists():
            raise BraidError(
                "beam",
                expected="a run that waits for this job",
                received=f"none that holds {self.lock}",
                action="Running the same command again resumes where it stopped.",
            )


HERE = Arrival()  # of workers that are threads of this process, which nobody waits for


def sign_of(path: Path, signs: BucketPath | None) -> Place:
    """Returns where a job's workers look for a file of the job: itself, or its object."""
    return path if signs is None else signs / path.name
