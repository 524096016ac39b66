"""A place in a bucket, which has of a path what shards and statistics are read and written by.

An object is there whole or not at all, and none is ever renamed. Arrow's file systems reach it;
they are loaded where a bucket is declared, so that all else needs no Arrow.
"""

from __future__ import annotations

import posixpath
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import new_checksum

_T = TypeVar("_T")

_FIRST_WAIT, _LAST_WAIT = 0.5, 4.0  # seconds, each twice the last, beside the client's own
# Options that are not Arrow's defaults. Google's client goes on for 15 minutes by itself; Amazon's
# takes three requests for an object of any size, and with this one for a small one.
_OPTIONS = {"gs": "retry_limit_seconds=15", "s3": "allow_delayed_open=true"}
_CHUNK = 16 * 1024 * 1024  # a request each, when read
# What no second attempt mends, or what the client has tried for long.
_FOR_GOOD = re.compile(
    "ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|PERMISSION_DENIED"
    "|Retry policy exhausted|UNAUTHENTICATED"
    "|(HTTP status|status code:) (301|400|401|403|404)|bucket .* does not exist",
    re.IGNORECASE,
)
_LONGEST = 300  # characters of what a client says


class StoreFailed(BraidError):  # noqa: N818 - it names what happened
    """A bucket does not do what it is asked for."""


@dataclass(frozen=True, order=True)
class Bucket:
    """A bucket, and what this machine holds of it.

    Attributes:
        uri: Such as "gs://bucket/braid", with the options of Arrow's file systems after "?".
        cache: The folder of copies and of what is being written.
        cache_bytes: How much of it is kept.
    """

    uri: str
    cache: Path
    cache_bytes: int

    @property
    def address(self) -> str:
        """The URI without options."""
        return self.uri.partition("?")[0].rstrip("/")

    def new_scratch(self, name: str) -> Path:
        """Returns a path on this machine's disk that nobody else has.

        `Cache` removes what a killed process left there, after a day.
        """
        path = self.cache / "scratch" / f"{uuid.uuid4().hex}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Gives such a path, which goes with the block."""
        path = self.new_scratch(name)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def ask(self, place: str, question: Callable[[Any, str], _T]) -> _T:
        """Asks the bucket, again where it does not answer.

        Args:
            place: The key of what is asked about.
            question: Takes Arrow's file system and the path in it.

        Raises:
            StoreFailed: It does not answer, or refuses.
            FileNotFoundError: There is no such object.
        """
        filesystem, root = open_bucket(self.uri)
        path = posixpath.join(root, place) if place else root
        return asked(f"{self.address}/{place}", lambda: question(filesystem, path))


def asked(place: str, question: Callable[[], _T]) -> _T:
    """Returns a bucket's answer to a question, which is asked again where there is none.

    Args:
        place: What is asked about, in words.
        question: Raises an `OSError`, which Arrow's own errors of storage are, if it has no answer.

    Raises:
        StoreFailed: It does not answer, or refuses.
        FileNotFoundError: There is no such object.
    """
    wait = _FIRST_WAIT
    while True:
        try:
            return question()
        except FileNotFoundError:
            raise
        except OSError as error:
            said = " ".join(str(error).split())
            if wait > _LAST_WAIT or _FOR_GOOD.search(said):
                raise failed(place, said) from None
        time.sleep(wait)
        wait *= 2


@cache
def open_bucket(uri: str) -> tuple[Any, str]:
    """Returns Arrow's file system of a URI, and the path in it.

    Raises:
        StoreFailed: Arrow is not installed, or knows no such URI.
    """
    option = _OPTIONS.get(uri.partition("://")[0], "")
    if option.partition("=")[0] not in uri:
        uri += ("&" if "?" in uri else "?") + option
    try:
        from pyarrow import fs

        filesystem, root = fs.FileSystem.from_uri(uri)
    except (ImportError, OSError, ValueError) as error:
        raise failed(uri.partition("?")[0], " ".join(str(error).split())) from None
    return filesystem, root


def failed(place: str, said: str) -> StoreFailed:
    """Returns the error of a bucket that says no, by what its client says."""
    return StoreFailed(
        place,
        expected="a bucket that can be read and written, as `store` declares it",
        received=said[:_LONGEST],
        action="Correct `store`, give this user access, or wait until the service answers; then "
        "run the same command again: what is there counts.",
    )


@dataclass(frozen=True)
class Listed:
    """An object or a folder as a listing of its folder tells of it.

    Attributes:
        key: Where it is.
        bytes: The object's size.
        modified_ns: When it was written, in nanoseconds.
        is_folder: Whether it stands for all objects below it.
    """

    key: str
    bytes: int
    modified_ns: int
    is_folder: bool


@dataclass(frozen=True, order=True)
class BucketPath:
    """A place below a bucket's URI.

    Attributes:
        bucket: The bucket.
        key: The names that lead to it, with "/" between them.
    """

    bucket: Bucket
    key: str = ""

    def __str__(self) -> str:
        return f"{self.bucket.address}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> BucketPath:
        return BucketPath(self.bucket, posixpath.join(self.key, name))

    @property
    def name(self) -> str:
        """The last name."""
        return posixpath.basename(self.key)

    @property
    def parent(self) -> BucketPath:
        """The folder."""
        return BucketPath(self.bucket, posixpath.dirname(self.key))

    def with_name(self, name: str) -> BucketPath:
        """Returns a place in the same folder."""
        return self.parent / name

    def exists(self) -> bool:
        """Returns whether there is an object of this name."""
        return self.size() is not None

    def size(self) -> int | None:
        """Returns the size of the object in bytes; None if there is none."""

        def look(filesystem: Any, path: str) -> int | None:
            info = filesystem.get_file_info(path)
            return int(info.size) if info.is_file else None

        return self.bucket.ask(self.key, look)

    def read_bytes(self) -> bytes:
        """Returns the content of the object.

        Raises:
            FileNotFoundError: There is none.
        """

        def read(filesystem: Any, path: str) -> bytes:
            with filesystem.open_input_file(path) as file:
                content: bytes = file.read()
                if len(content) != file.size():
                    raise OSError(f"{len(content)} bytes of {file.size()} came")
                return content

        return self.bucket.ask(self.key, read)

    def write_bytes(self, content: bytes) -> None:
        """Writes a whole object, in place of another one of this name."""

        def write(filesystem: Any, path: str) -> None:
            with filesystem.open_output_stream(path) as file:
                file.write(content)

        self._write(write, len(content))

    def upload(self, local: Path) -> None:
        """Writes a file as a whole object, in place of another one of this name."""

        def write(filesystem: Any, path: str) -> None:
            with local.open("rb") as source, filesystem.open_output_stream(path) as file:
                while chunk := source.read(_CHUNK):
                    file.write(chunk)

        self._write(write, local.stat().st_size)

    def _write(self, write: Callable[[Any, str], None], size: int) -> None:
        """Writes, looks whether all of it is there, and removes what is not whole at the end.

        A stream of Arrow's publishes what it has when it is closed, also after an error; that is
        why nothing is read but what a document that was written later names by its checksum.
        """

        def whole(filesystem: Any, path: str) -> None:
            write(filesystem, path)
            there = filesystem.get_file_info(path)
            if not there.is_file or there.size != size:
                raise OSError(f"{there.size} bytes of {size} arrived")

        try:
            self.bucket.ask(self.key, whole)
        except FileNotFoundError as error:  # the bucket
            raise failed(str(self), " ".join(str(error).split())) from None
        except BraidError:
            with suppress(BraidError, FileNotFoundError):
                self.delete()
            raise

    def download(self, local: Path) -> str:
        """Copies the object to a file, and returns the hash of its bytes, in hex.

        Raises:
            FileNotFoundError: There is no such object.
        """

        def read(filesystem: Any, path: str) -> str:
            digest, count = new_checksum(), 0
            with filesystem.open_input_file(path) as source, local.open("wb") as file:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                    count += len(chunk)
                if count != source.size():
                    raise OSError(f"{count} bytes of {source.size()} came")
            return digest.hexdigest()

        return self.bucket.ask(self.key, read)

    def copy_to(self, target: BucketPath) -> None:
        """Copies the object within the bucket, whole."""

        def copy(filesystem: Any, path: str) -> None:
            root = path.removesuffix(self.key)
            filesystem.copy_file(path, root + target.key)

        self.bucket.ask(self.key, copy)

    def delete(self) -> None:
        """Removes the object, or all objects below; none is fine."""

        def remove(filesystem: Any, path: str) -> None:
            info = filesystem.get_file_info(path)
            with suppress(FileNotFoundError):
                if info.is_file:
                    filesystem.delete_file(path)
                elif info.type.name == "Directory":
                    filesystem.delete_dir(path)

        self.bucket.ask(self.key, remove)

    def listed(self, *, all_below: bool = False) -> list[Listed]:
        """Returns what is in this folder, by one request a thousand names.

        Args:
            all_below: Whether all objects below are meant, and not the next level alone.
        """

        def look(filesystem: Any, path: str) -> list[Listed]:
            from pyarrow import fs

            infos = filesystem.get_file_info(
                fs.FileSelector(path, allow_not_found=True, recursive=all_below)
            )
            below = len(path.rstrip("/")) + 1
            return [
                Listed(
                    key=posixpath.join(self.key, info.path[below:].rstrip("/")),
                    bytes=info.size or 0,
                    modified_ns=info.mtime_ns or 0,
                    is_folder=not info.is_file,
                )
                for info in infos
            ]

        return sorted(self.bucket.ask(self.key, look), key=lambda listed: listed.key)

    def children(self) -> list[BucketPath]:
        """Returns the objects of the next level, by their names."""
        listed = (each for each in self.listed() if not each.is_folder)
        return [BucketPath(self.bucket, each.key) for each in listed]

    def folders(self) -> list[BucketPath]:
        """Returns the folders of the next level that have an object somewhere below, by name.

        All below is listed: of a level, Arrow shows Google's objects alone.
        """
        below = len(self.key) + 1 if self.key else 0
        paths = (each.key[below:] for each in self.listed(all_below=True))
        names = {path.split("/")[0] for path in paths if "/" in path}
        return [self / name for name in sorted(names)]
