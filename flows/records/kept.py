"""Records of runs and of backfills as files: written whole, read whole, or not there."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.masking import masked
from transforms.contract.workspace.documents import BRING_BACK, read_json
from transforms.contract.workspace.files import write_atomic


class KeptRecord(BaseModel):
    """A record, or a part of one; that of an older or newer version is still listed."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class WorkRecord(KeptRecord):
    """The fields that the records of runs, tunings and backfills share.

    Attributes:
        pipeline: The pipeline's name.
        pid: The number of the process that works or worked on it.
        host: The machine of that process; "" in records of older versions.
        started: When it began, in UTC.
        ended: When it ended, in UTC; None if it has not.
        error: What ended it before its end.
    """

    pipeline: str
    pid: int
    host: str = ""
    started: datetime
    ended: datetime | None = None
    error: ErrorReport | None = None

    def end_by(self, error: BaseException, stop: str | None) -> None:
        """Notes that an error ended it.

        Args:
            error: What ended it.
            stop: The name of the signal that it comes from, if it does.
        """
        self.ended = now()
        self.end_as("stopped" if stop else "failed")
        if isinstance(error, BraidError) and stop is None:
            self.error = ErrorReport.of(error)
        else:
            received = stop or masked(str(error))
            self.error = ErrorReport(type=type(error).__name__, received=received)

    def end_as(self, status: Literal["stopped", "failed"]) -> None:
        """Sets how it ended."""
        raise NotImplementedError


_R = TypeVar("_R", bound=KeptRecord)


def now() -> datetime:
    """Returns the present time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def own_process() -> int:
    """Returns the number of this process, for the record of what it works on."""
    return os.getpid()


def own_host() -> str:
    """Returns the name of this machine, without which a process's number says nothing."""
    return socket.gethostname()


def free_name(parent: Path, name: str) -> str:
    """Returns the name, or one that sorts after it: two may start within one second."""
    taken, number = name, 1
    while (parent / taken).exists():
        number += 1
        taken = f"{name}-{number}"
    return taken


def write_kept(path: Path, record: KeptRecord) -> None:
    """Writes a record, whole or not at all."""
    write_atomic(path, record.model_dump_json(indent=2) + "\n")


def read_kept(path: Path, model: type[_R]) -> _R | None:
    """Returns a record, or None if there is none.

    Raises:
        DamagedFile: It is not as it was written.
    """
    try:
        return read_json(path, model, action=BRING_BACK)
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_all(parent: Path, file: str, model: type[_R]) -> list[tuple[Path, _R]]:
    """Returns the records in the folders of a folder, with those folders by their names.

    Raises:
        DamagedFile: One is not as it was written.
    """
    folders = sorted(parent.iterdir()) if parent.is_dir() else []
    records = [(folder, read_kept(folder / file, model)) for folder in folders]
    return [(folder, record) for folder, record in records if record is not None]
