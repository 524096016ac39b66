"""Files below a folder on this machine or in a bucket, through Arrow's file systems."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs as pafs
from pydantic import BaseModel, ValidationError

from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.files import TEMPORARY
from transforms.source.scan import open_filesystem

# Where a folder is no more than a part of an object's name.
_WITHOUT_FOLDERS = {"s3", "gcs", "abfs"}

_M = TypeVar("_M", bound=BaseModel)


class FolderFiles:
    """The files below a folder, by their paths there, with "/" between their parts.

    Args:
        filesystem: Where it is.
        root: Its path there.
    """

    def __init__(self, filesystem: pafs.FileSystem, root: str) -> None:
        self._filesystem, self._root = filesystem, root.rstrip("/")

    @classmethod
    def open(cls, place: str, option: str) -> FolderFiles:
        """Returns the files below a path or a URL.

        Args:
            place: The path or the URL.
            option: Of a command, which was given it.

        Raises:
            DeclarationError: The URL is of no file system that there is.
        """
        try:
            return cls(*open_filesystem(place))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DeclarationError(
                f"{option} {place}",
                expected="a folder, or a URL such as gs://bucket/folder",
                received=" ".join(str(error).split()),
                action="Correct the URL, or give this user access to it.",
            ) from None

    def sizes(self, below: str = "", *, recursive: bool = True) -> dict[str, int]:
        """Returns the sizes in bytes of all files below one of its folders, by one listing."""
        path = self._path(below)
        selector = pafs.FileSelector(path, allow_not_found=True, recursive=recursive)
        infos = self._filesystem.get_file_info(selector)
        start = len(self._root) + 1
        return {i.path[start:]: i.size for i in infos if i.type == pafs.FileType.File}

    def size(self, name: str = "") -> int | None:
        """Returns the size of a file in bytes, or None if there is none of that name."""
        info = self._filesystem.get_file_info(self._path(name))
        return info.size if info.type == pafs.FileType.File else None

    def read(self, name: str, model: type[_M]) -> _M | None:
        """Returns what a JSON file holds; None if it is not there, or holds something else."""
        try:
            with self._filesystem.open_input_stream(self._path(name)) as stream:
                return model.model_validate_json(stream.read())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def write(self, name: str, document: BaseModel) -> None:
        """Writes a JSON file, whole or not at all; an object in a bucket is so by itself."""
        folder, _, file = name.rpartition("/")
        is_local = isinstance(self._filesystem, pafs.LocalFileSystem)
        begun = f"{folder}/{TEMPORARY}{uuid.uuid4().hex[:8]}-{file}" if is_local else name
        with self.open_new(begun) as stream:
            stream.write(document.model_dump_json().encode())
        if is_local:
            self.move(begun, name)

    def open_new(self, name: str) -> pa.NativeFile:
        """Opens a file to be written; it may be there in part until it is closed."""
        self._make_folder_of(name)
        return self._filesystem.open_output_stream(self._path(name))

    def move(self, name: str, other: str) -> None:
        """Gives a file another name, also one that there is already."""
        self._make_folder_of(other)
        self._filesystem.move(self._path(name), self._path(other))

    def remove(self, names: Iterable[str]) -> None:
        """Removes files that may be gone already."""
        for name in names:
            with suppress(FileNotFoundError):
                self._filesystem.delete_file(self._path(name))

    def remove_folder(self, name: str) -> None:
        """Removes a folder with all that is in it."""
        with suppress(FileNotFoundError):
            self._filesystem.delete_dir(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _make_folder_of(self, name: str) -> None:
        if self._filesystem.type_name not in _WITHOUT_FOLDERS:
            self._filesystem.create_dir(self._path(name).rpartition("/")[0], recursive=True)
