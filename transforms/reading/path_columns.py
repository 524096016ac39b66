"""Reading the files that the cells of a path column name, from nowhere but the declared folders.

A table may come from anybody: whatever its cells name, nothing outside is opened, nothing hangs,
and a file that cannot be read costs its row alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from transforms.contract.declaration.source import SourceSpec
from transforms.source.scan import open_filesystem, source_folder

MISSING_FILE = "missing_file"
NOT_A_FILE = "not_a_file"  # a folder, a named pipe, a device or a socket
FILE_TOO_LARGE = "file_too_large"
NOT_ALLOWED = "path_not_in_source.allow"  # nor in the source's folder
_MOST_BYTES = 1 << 28  # a BMP of 50 million pixels, the default of `max_pixels`, is 150 MB
_THREADS = 8  # image files are small and, in a bucket, far away


class _UnreadableError(Exception):
    """A file that is not read; the message is its reject's reason."""


@dataclass(frozen=True)
class _Folder:
    """A folder of a local file system, with symbolic links resolved, that may be read from."""

    path: str

    def has(self, path: str) -> bool:
        return path == self.path or path.startswith(self.path.rstrip("/") + "/")


@dataclass(frozen=True)
class _Prefix:
    """A URL whose beginning may be read from, by the file system that the declaration names.

    Of a cell only the rest of the path is used: it names no other server, user or option.
    """

    url: str

    @cached_property
    def _opened(self) -> tuple[pafs.FileSystem, str]:
        return open_filesystem(self.url)

    @cached_property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url, allow_fragments=False)

    def rest_of(self, cell: SplitResult) -> str | None:
        """Returns the path of a cell's URL below this one, or None if it is not."""
        own = self._parts
        hosts = (own.netloc, own.netloc.rpartition("@")[2])
        if cell.scheme != own.scheme or cell.netloc not in hosts:
            return None
        path, prefix = unquote(cell.path), unquote(own.path).rstrip("/") + "/"
        if cell.query not in ("", own.query) or not path.startswith(prefix):
            return None
        return path.removeprefix(prefix)

    def read(self, rest: str) -> bytes:
        if rest.startswith("/") or ".." in rest.split("/"):
            raise _UnreadableError(NOT_ALLOWED)
        filesystem, folder = self._opened
        with filesystem.open_input_file(f"{folder.rstrip('/')}/{rest}") as file:
            if file.size() > _MOST_BYTES:
                raise _UnreadableError(FILE_TOO_LARGE)
            return file.readall()  # type: ignore[no-any-return]


class PathReader:
    """Reads what cells name: relative paths from the source's folder, absolute ones, and URLs.

    Args:
        source: The declared source; its folder and those of `allow` may be read from.
    """

    def __init__(self, source: SourceSpec) -> None:
        base, *others = [_declared(place) for place in (source_folder(source), *source.allow)]
        self._base = base
        places = [base, *others]
        self._folders = [place for place in places if isinstance(place, _Folder)]
        self._prefixes = [place for place in places if isinstance(place, _Prefix)]

    def read(self, cells: Sequence[str | None]) -> tuple[pa.Array, dict[int, str]]:
        """Reads files.

        Args:
            cells: Their paths; nothing is read for None and the empty one.

        Returns:
            The contents, large_binary [rows], null where there is none, and by row the reason why
            a file was not read.
        """
        reasons: dict[int, str] = {}

        def read(row: int) -> bytes | None:
            try:
                return self._read(cells[row] or "")
            except _UnreadableError as error:
                reasons[row] = str(error)
            except (OSError, ValueError, pa.ArrowException):  # ValueError: a NUL in the path
                reasons[row] = MISSING_FILE
            return None

        with ThreadPoolExecutor(_THREADS) as threads:
            contents = list(threads.map(read, range(len(cells))))
        return pa.array(contents, pa.large_binary()), reasons

    def _read(self, cell: str) -> bytes:
        if not cell:
            return b""
        if "://" in cell:
            url = urlsplit(cell, allow_fragments=False)
            if url.scheme == "file" and url.netloc in ("", "localhost"):
                return self._read_local(Path(unquote(url.path)))
            for prefix in self._prefixes:
                rest = prefix.rest_of(url)
                if rest is not None:
                    return prefix.read(rest)
            raise _UnreadableError(NOT_ALLOWED)
        if isinstance(self._base, _Prefix) and not cell.startswith("/"):
            return self._base.read(cell)
        base = self._base.path if isinstance(self._base, _Folder) else "/"
        return self._read_local(Path(base) / cell)

    def _read_local(self, named: Path) -> bytes:
        path = os.path.realpath(named)
        if not any(folder.has(path) for folder in self._folders):
            raise _UnreadableError(NOT_ALLOWED)
        # Opening some devices does something by itself, and a named pipe waits for its writer.
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise _UnreadableError(NOT_A_FILE)
        if status.st_size > _MOST_BYTES:
            raise _UnreadableError(FILE_TOO_LARGE)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(_MOST_BYTES)


def _declared(place: str) -> _Folder | _Prefix:
    """Returns the source's folder, or an entry of `allow`, as what may be read from."""
    if "://" not in place:
        return _Folder(os.path.realpath(place))
    url = urlsplit(place, allow_fragments=False)
    return _Folder(os.path.realpath(unquote(url.path))) if url.scheme == "file" else _Prefix(place)
