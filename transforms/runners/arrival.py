"""The sign of a worker on another machine that it is there, and sees the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transforms.contract.errors import BraidError
from transforms.contract.workspace.locks import this_process


@dataclass(frozen=True)
class Arrival:
    """A file of the workspace that the first worker of a job writes.

    Attributes:
        path: The file; None where the workers are threads of this process.
    """

    path: Path | None = None

    def tell(self) -> None:
        """Says that this worker is there.

        Raises:
            BraidError: It does not see the workspace, or cannot write there.
        """
        if self.path is None:
            return
        try:
            self.path.write_text(this_process(), encoding="utf-8")
        except OSError as error:
            raise BraidError(
                str(self.path.parent),
                expected="the workspace, by the same path as here, to be written by every worker",
                received=f"{error.strerror} in process {this_process()}",
                action="Give a --workspace on a file system that this machine and the workers "
                "share.",
            ) from error

    def is_told(self) -> bool:
        """Returns whether a worker has said so."""
        return self.path is not None and self.path.exists()


HERE = Arrival()  # of workers that are threads of this process, which nobody waits for
