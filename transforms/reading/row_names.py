"""The names of rows: their keys, or their files and numbers where a table has no key."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs

from transforms.columns.hashing import key_bytes
from transforms.contract.declaration.source import SourceSpec
from transforms.source.formats import Piece, first_rows
from transforms.source.scan import open_filesystem, source_folder


class RowNames:
    """Names the rows of one source.

    Args:
        source: The declared source.
        filesystem: Where its files are.
    """

    def __init__(self, source: SourceSpec, filesystem: pafs.FileSystem) -> None:
        self._source = source
        self._filesystem = filesystem
        self._folder: str | None = None
        self._counted: tuple[str, Callable[[Piece], int]] | None = None

    def rows_before(self, piece: Piece) -> int:
        """Returns how many rows of its file come before a piece; 0 where a key names rows.

        Raises:
            BraidError: The file is not of the format.
        """
        if self._source.key_columns:
            return 0
        if self._counted is None or self._counted[0] != piece.path:
            before = first_rows(self._source.format, self._filesystem, piece.path)
            self._counted = (piece.path, before)
        return self._counted[1](piece)

    def of_rows(self, table: Mapping[str, pa.Array], file: str, numbers: np.ndarray) -> np.ndarray:
        """Returns the names of rows as UTF-8 bytes objects, [rows]; one without a key has none.

        Args:
            table: The rows' columns, the key's among them.
            file: The file that they are from; "" are rows that came without one.
            numbers: Their numbers in it, from 0, int64 [rows].
        """
        if self._source.key_columns:
            return key_bytes(*(table[name] for name in self._source.key_columns))
        begin = f"{self._below_folder(file)}:" if file else ""
        names = [f"{begin}{number + 1}".encode() for number in numbers.tolist()]
        return np.array(names, object)

    def _below_folder(self, file: str) -> str:
        if self._folder is None:
            _, self._folder = open_filesystem(source_folder(self._source))
        return posixpath.relpath(file, self._folder)
