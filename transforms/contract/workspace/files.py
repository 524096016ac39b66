"""Files that are there whole or not at all, on a disk or in a bucket."""

from __future__ import annotations

import os
import posixpath
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from transforms.contract.workspace.bucket import BucketPath

TEMPORARY = ".tmp-"  # of what is not whole yet

Place = Path | BucketPath


def write_atomic(path: Place, content: str | bytes) -> None:
    """Writes a whole file, or none."""
    encoded = content.encode() if isinstance(content, str) else content
    if isinstance(path, BucketPath):
        path.write_bytes(encoded)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(encoded)


@contextmanager
def replacing(path: Place) -> Iterator[Path]:
    """Gives a temporary path that takes the place of `path` when the block ends well.

    It lies beside `path`, and that of an object, which has to be a file, on this machine's disk.
    The temporary file or folder is removed when the block fails; `remove_temporaries` removes
    what a killed process left.
    """
    if isinstance(path, BucketPath):
        with path.bucket.scratch(path.name) as scratch:
            yield scratch
            path.upload(scratch)
        return
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


def remove(path: Place) -> None:
    """Removes a file or a folder, if it is there."""
    if isinstance(path, BucketPath):
        path.delete()
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def rename(path: Place, name: str) -> None:
    """Gives a file another name in its folder; in a bucket it is copied, whole."""
    if isinstance(path, BucketPath):
        path.copy_to(path.with_name(name))
        path.delete()
    else:
        path.replace(path.with_name(name))


def remove_temporaries(folder: Path) -> None:
    """Removes what killed processes left under temporary names, in all subfolders too."""
    for path in list(folder.rglob(f"{TEMPORARY}*")):
        remove(path)


def children(folder: Place) -> list[Place]:
    """Returns what lies in a folder, by name; nothing if there is none."""
    if isinstance(folder, BucketPath):
        return [*folder.children()]
    return sorted(folder.iterdir()) if folder.is_dir() else []


def sizes_in(folder: Place) -> dict[str, int]:
    """Returns the sizes of a folder's files in bytes, by name."""
    if isinstance(folder, BucketPath):
        return {posixpath.basename(each.key): each.bytes for each in folder.listed()}
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}


def times_in(folder: Place) -> dict[Place, float]:
    """Returns when each file of a folder was written, in seconds since the epoch."""
    if isinstance(folder, BucketPath):
        return {
            BucketPath(folder.bucket, each.key): each.modified_ns / 1e9 for each in folder.listed()
        }
    times: dict[Place, float] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # another process removes some, too
            times[path] = path.stat().st_mtime
    return times


def size_of(place: Place) -> int | None:
    """Returns the size of a file in bytes; None if there is none."""
    if isinstance(place, BucketPath):
        return place.size()
    return place.stat().st_size if place.is_file() else None


def presence(places: Iterable[Place]) -> Callable[[Place], bool]:
    """Returns a look at which places are there: at paths when asked, at a bucket now.

    Args:
        places: Some of every folder that may be asked for: in a bucket each of these is listed.
    """
    folders = {place.parent for place in places if isinstance(place, BucketPath)}
    there = {child for folder in folders for child in folder.children()}
    return lambda place: place in there if isinstance(place, BucketPath) else place.exists()
