"""Verified copies of a bucket's objects on this machine's disk, in a bounded folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import checksum, fingerprint
from transforms.contract.spec import Spec
from transforms.contract.workspace.bucket import Bucket, BucketPath
from transforms.contract.workspace.documents import CHECK, DamagedFile, read_json
from transforms.contract.workspace.files import Place, remove, replacing

CONTENTS_FILE = "contents.json"  # of a folder that was written by `upload_folder`
_DOWNLOADS = 3  # of an object that comes with another checksum
_THREADS = 16  # of requests, which wait more than they work
# Files that a stream may have asked for and not opened yet: eight at once, three times as many
# ahead, and some to spare.
_HELD = 40
_GRACE_SECONDS = 60.0  # a copy that was asked for just now is about to be opened
_LOST_SECONDS = 86_400.0  # what was being written so long ago is a killed process's


class Held(Spec):
    """One file of a folder in a bucket.

    Attributes:
        file: Its path in the folder.
        stored: The name of its object, which its content decides.
        bytes: Its size.
        checksum: The XXH3 hash of its bytes, in hex.
    """

    file: str
    stored: str
    bytes: int
    checksum: str


class Contents(Spec):
    """The files of a folder in a bucket; with this document it is whole."""

    files: tuple[Held, ...]


class Cache:
    """The copies that this machine has of a bucket; processes and threads share the folder.

    A copy comes by a rename, once its checksum is right, under a name that its checksum decides.
    What was asked for longest ago makes room, unless somebody is about to open it.

    Attributes:
        failed: Why a copy could not be had, by its path: what reads files by their paths gets
            nothing of an error but its text.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._files = bucket.cache / "files"
        self._documents = bucket.cache / "documents"  # which nobody holds
        self._lock = threading.Lock()
        self._holds: deque[int] = deque()
        self.failed: dict[Path, BraidError] = {}

    def path_of(self, place: BucketPath, content: str) -> Path:
        """Returns where the copy of an object of some content is, or will be."""
        return self._files / f"{content}{Path(place.name).suffix}"

    def fetch(self, place: BucketPath, size: int, content: str) -> Path:
        """Returns the copy of an object, downloaded if need be, and holds it for a while.

        Args:
            place: The object.
            size: Its size in bytes.
            content: The hash of its bytes, in hex.

        Raises:
            DamagedFile: The object is gone, or other than it was written.
        """
        path = self.path_of(place, content)
        while not self._hold(path):
            self._make_room(size)
            with self._bucket.scratch(path.name) as scratch:
                download_whole(place, scratch, size, content)
                path.parent.mkdir(parents=True, exist_ok=True)
                scratch.replace(path)
        return path

    def current(self, places: Iterable[BucketPath]) -> dict[BucketPath, Path]:
        """Returns copies of the objects that are there, of objects without a checksum.

        A copy is taken again if size or time of writing differ from those of the listing.
        """
        wanted = set(places)
        copies = {
            place: self._documents / f"{fingerprint([place.key, each.bytes, each.modified_ns])}"
            f"{Path(place.name).suffix}"
            for folder in {place.parent for place in wanted}
            for each in folder.listed()
            if (place := BucketPath(self._bucket, each.key)) in wanted and not each.is_folder
        }
        missing = [(place, path) for place, path in copies.items() if not _touch(path)]
        if missing:
            self._make_room(0)
            self._documents.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(_THREADS) as threads:
                list(threads.map(self._take, *zip(*missing, strict=True)))
        return copies

    def folder(self, place: BucketPath) -> Path:
        """Returns the copy of a folder that was written by `upload_folder`, whole.

        Raises:
            DamagedFile: Something of it is gone, or other than it was written.
            FileNotFoundError: There is no such folder.
        """
        path = self._bucket.cache / place.key
        if path.is_dir():
            return path
        copy = path.with_name(f"{uuid.uuid4().hex}-{path.name}")
        try:
            download_folder(place, copy)
            _rename_first(copy, path)
        finally:
            remove(copy)
        return path

    def forget(self, place: BucketPath) -> None:
        """Removes the copy of a folder."""
        remove(self._bucket.cache / place.key)

    def _take(self, place: BucketPath, path: Path) -> None:
        with self._bucket.scratch(path.name) as scratch:
            place.download(scratch)
            scratch.replace(path)

    def _hold(self, path: Path) -> bool:
        """Keeps others from removing a copy; returns whether it is there."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if not _touch(path) or not _is_open(descriptor, path):  # it was removed in between
            os.close(descriptor)
            return False
        with self._lock:
            self._holds.append(descriptor)
            if len(self._holds) > _HELD:
                os.close(self._holds.popleft())
        return True

    def _make_room(self, size: int) -> None:
        """Removes what was asked for longest ago until so many bytes more are within the bound."""
        now = time.time()
        _remove_lost(self._bucket.cache / "scratch", now)
        copies = [copy for folder in (self._files, self._documents) for copy in _copies(folder)]
        total = size + sum(copy.bytes for copy in copies)
        for copy in sorted(copies, key=lambda copy: copy.asked):
            if total <= self._bucket.cache_bytes:
                return
            is_young = copy.path.parent == self._documents and now - copy.asked < _GRACE_SECONDS
            if not is_young and _remove_unheld(copy.path):
                total -= copy.bytes


class _Copy(NamedTuple):
    path: Path
    bytes: int
    asked: float  # seconds since the epoch


def _copies(folder: Path) -> Iterator[_Copy]:
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):  # another process makes room, too
                stat = path.stat()
                yield _Copy(path, stat.st_size, stat.st_mtime)


@cache
def cache_of(bucket: Bucket) -> Cache:
    """Returns the one object by which this process asks for copies of a bucket's objects."""
    return Cache(bucket)


def download_whole(place: BucketPath, local: Path, size: int, content: str) -> None:
    """Copies an object to a file, again if what comes is not what was written.

    Raises:
        DamagedFile: The object is gone, or other than it was written.
    """
    received = "no such object"
    for _ in range(_DOWNLOADS):
        with suppress(FileNotFoundError):
            if place.download(local) == content:
                return
            received = f"another content, {_DOWNLOADS} times"
    raise DamagedFile(
        str(place),
        expected=f"an object of {size:,} bytes with the checksum of its manifest",
        received=received,
        action=CHECK,
    )


def download_folder(place: BucketPath, local: Path) -> None:
    """Copies a folder that was written by `upload_files` or `upload_folder`.

    Raises:
        DamagedFile: Something of it is gone, or other than it was written.
        FileNotFoundError: There is no such folder.
    """
    for held in read_json(place / CONTENTS_FILE, Contents).files:
        target = local / held.file
        target.parent.mkdir(parents=True, exist_ok=True)
        download_whole(place / held.stored, target, held.bytes, held.checksum)


def upload_files(
    files: Mapping[str, Path], place: BucketPath, check: Callable[[], None] = lambda: None
) -> None:
    """Writes files into a bucket, and last what they are.

    Two attempts harm nobody: objects are named by their content, and both say the same of them.

    Args:
        files: By their paths in the folder that they are to be.
        place: The folder.
        check: May refuse to commit what is uploaded by then.
    """
    contents = Contents(files=tuple(held_file(path, name) for name, path in sorted(files.items())))
    for held in contents.files:
        (place / held.stored).upload(files[held.file])
    check()
    (place / CONTENTS_FILE).write_bytes(contents.model_dump_json(indent=1).encode())


def held_file(path: Path, name: str) -> Held:
    """Returns what a file is, as a folder in a bucket would have it.

    Args:
        path: The file.
        name: Its path in the folder.
    """
    content = checksum(path)
    return Held(
        file=name, stored=f"{content}-{path.name}", bytes=path.stat().st_size, checksum=content
    )


def upload_folder(
    folder: Path, place: BucketPath, *, last: str, check: Callable[[], None] = lambda: None
) -> None:
    """Writes a folder into a bucket: its files, what they are, and the file that commits it.

    Args:
        folder: The folder, whole.
        place: Where it goes.
        last: The name of the file that readers look for; it is written last, under its own name.
        check: May refuse to commit what is uploaded by then.
    """
    upload_files(files_below(folder), place, check)
    (place / last).upload(folder / last)


def files_below(folder: Path) -> dict[str, Path]:
    """Returns all files of a folder, by their paths in it."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths}


@contextmanager
def writing_folder(
    place: Place, *, last: str, check: Callable[[], None] = lambda: None
) -> Iterator[Path]:
    """Gives a folder to write into, which takes its place whole when the block ends well.

    Args:
        place: Where it goes.
        last: The file with which it is committed.
        check: May refuse to commit it in a bucket.
    """
    if isinstance(place, Path):
        with replacing(place) as folder:
            yield folder
        return
    folder = place.bucket.new_scratch(place.name)
    try:
        yield folder
        upload_folder(folder, place, last=last, check=check)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def local_copies(places: Iterable[Place]) -> dict[Place, Path]:
    """Returns the places that are there, each with a path to read it by.

    Those of a bucket are copied, side by side.
    """
    copies: dict[Place, Path] = {}
    of_bucket: dict[Bucket, list[BucketPath]] = {}
    for place in places:
        if isinstance(place, BucketPath):
            of_bucket.setdefault(place.bucket, []).append(place)
        elif place.exists():
            copies[place] = place
    for bucket, wanted in of_bucket.items():
        copies.update(cache_of(bucket).current(wanted).items())
    return copies


def local_folder(place: Place) -> Path:
    """Returns the path by which a committed folder is read; that of a bucket is copied."""
    return cache_of(place.bucket).folder(place) if isinstance(place, BucketPath) else place


def local_path(place: Place) -> Path:
    """Returns the path by which a file is read; an object is copied.

    Raises:
        FileNotFoundError: It is not there.
    """
    if isinstance(place, Path):
        return place
    copies = local_copies([place])
    if place not in copies:
        raise FileNotFoundError(str(place))
    return copies[place]


def _rename_first(folder: Path, path: Path) -> None:
    """Gives a folder its name, unless another process was first with the same one."""
    try:
        folder.rename(path)
    except OSError:
        if not path.is_dir():
            raise


def _touch(path: Path) -> bool:
    """Notes that a copy is asked for; returns whether it is there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _is_open(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _remove_unheld(path: Path) -> bool:
    """Removes a copy that nobody holds; returns whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove_lost(folder: Path, now: float) -> None:
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            if now - path.stat().st_mtime > _LOST_SECONDS:
                remove(path)
