"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".tmp-"  # of what is not whole yet


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes a whole file, or none."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` that takes its place when the block ends well.

    The temporary file or folder is removed when the block fails; `remove_temporaries` removes
    what a killed process left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        if temporary.is_file():
            _sync(temporary)  # a name must not survive a power cut that its content did not
        elif path.exists():
            shutil.rmtree(path)  # what stands there was never committed
        temporary.replace(path)
    finally:
        remove(temporary)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Removes what killed processes left under temporary names, in all subfolders too."""
    for path in list(folder.rglob(f"{TEMPORARY}*")):
        remove(path)
