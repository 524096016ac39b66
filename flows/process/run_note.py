"""The note in a run's folder of the files that it and its copies in a bucket had in common."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from trainer.run_folder import COPIED
from transforms.contract.spec import Spec
from transforms.contract.workspace.documents import read_json
from transforms.contract.workspace.files import TEMPORARY, write_atomic

NOTE_FILE = "copies.json"
REMOVE_IT = "Remove it, and run the same command again."


class KnownFile(Spec):
    """A file of the run's folder as it was when the store had the same.

    Attributes:
        bytes: Its size.
        modified_ns: When it was written, in nanoseconds.
        checksum: The XXH3 hash of its bytes, in hex.
    """

    bytes: int
    modified_ns: int
    checksum: str


class RunNote(Spec):
    """The state that a run's folder and the store had in common.

    Attributes:
        place: The name of the run's place there, where this is the flow's folder: another workspace
            may have a run of the same name.
        revision: The store's.
        files: By their names in the folder.
    """

    place: str = ""
    revision: int = 0
    files: dict[str, KnownFile] = {}


class SeenFile(NamedTuple):
    """A file of the run's folder as it is.

    Attributes:
        bytes: Its size.
        modified_ns: When it was written, in nanoseconds.
    """

    bytes: int
    modified_ns: int


def note_of(folder: Path) -> RunNote:
    """Returns what is noted in a run's folder."""
    path = folder / NOTE_FILE
    return read_json(path, RunNote, action=REMOVE_IT) if path.exists() else RunNote()


def put_note(folder: Path, note: RunNote) -> None:
    """Notes it in a run's folder."""
    write_atomic(folder / NOTE_FILE, note.model_dump_json(indent=1))


def seen_in(folder: Path) -> dict[str, SeenFile]:
    """Returns the sizes and times of the files that are the run's, by name."""
    seen = {}
    for top in COPIED:
        path = folder / top
        for file in path.rglob("*") if path.is_dir() else (path,):
            name = file.relative_to(folder)
            if any(part.startswith(TEMPORARY) for part in name.parts):
                continue
            with suppress(FileNotFoundError):
                if file.is_file():
                    stat = file.stat()
                    seen[name.as_posix()] = SeenFile(stat.st_size, stat.st_mtime_ns)
    return seen


def changed_since(note: RunNote, seen: Mapping[str, SeenFile]) -> list[str]:
    """Returns the files that are not as they are noted, by name."""
    return [
        name
        for name, (size, modified_ns) in sorted(seen.items())
        if (known := note.files.get(name)) is None
        or (known.bytes, known.modified_ns) != (size, modified_ns)
    ]


def is_in_common(note: RunNote, seen: Mapping[str, SeenFile]) -> bool:
    """Returns whether the store had all that is there, and nothing else."""
    return not changed_since(note, seen) and note.files.keys() == seen.keys()
