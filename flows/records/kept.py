"""Records of runs and of backfills as files: written whole, read whole, or not there."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from transforms.contract.workspace.documents import BRING_BACK, read_json
from transforms.contract.workspace.files import write_atomic


class KeptRecord(BaseModel):
    """A record, or a part of one; that of an older or newer version is still listed."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


_R = TypeVar("_R", bound=KeptRecord)


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
