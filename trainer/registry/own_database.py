"""The SQLite database of a workspace's own registry, looked at and moved without MLflow.

MLflow takes two seconds to import, which a command that finds nothing new would have to wait for,
and it cannot change where artifacts are: it keeps whole addresses, which a workspace that was
moved or copied takes along. These are the tables and columns that this knows of; a test has MLflow
write them.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from transforms.contract.errors import BraidError, storage_error

_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_BUSY_SECONDS = 30.0
_PRIMARY = 0xFF  # of an extended code of SQLite's, https://sqlite.org/rescode.html
_STORAGE_ERRORS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
}
_ACTIONS = dict.fromkeys(
    (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED),
    "Another process writes into it: run again when it has ended.",
)
DATABASE_FILE = "registry.db"  # in the workspace


@dataclass(frozen=True)
class OwnDatabase:
    """The database of a workspace's own registry.

    Attributes:
        path: The file.
        artifacts: The folder that exports lie in.
    """

    path: Path
    artifacts: Path

    def readdress(self) -> None:
        """Lets exports lie in this workspace, wherever the database was when it noted them."""
        if not self.path.exists():
            return
        here = self.artifacts.as_uri()
        with self._open() as database:
            noted = database.execute("SELECT DISTINCT artifact_location FROM experiments")
            for before in [row[0] for row in noted if self._is_elsewhere(row[0], here)]:
                for table, column in _ADDRESSES:
                    database.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (here, len(before) + 1, before, len(before) + 1, f"{before}/"),
                    )

    def _is_elsewhere(self, address: str | None, here: str) -> bool:
        # What MLflow has by itself for experiments without a place is no folder of this name.
        noted = address or ""
        return noted.endswith(f"/{self.artifacts.name}") and noted not in ("", here)

    def export_of(self, name: str, version: str) -> Path | None:
        """Returns where a version's export has to be; None if there is no such version."""
        if not self.path.exists():
            return None
        self.readdress()
        with self._open() as database:
            row = database.execute(
                "SELECT source FROM model_versions WHERE name = ? AND version = ?", (name, version)
            ).fetchone()
        return None if row is None else local_path(row[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise self.error_of(error) from None

    def error_of(self, error: sqlite3.Error) -> BraidError:
        """Returns what the library says as an error that says what to do."""
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        if code in _STORAGE_ERRORS:
            number = _STORAGE_ERRORS[code]
            return storage_error(OSError(number, os.strerror(number), self.path), str(self.path))
        return BraidError(
            str(self.path),
            expected="the database of registered models",
            received=str(error),
            action=_ACTIONS.get(
                code,
                "Bring it back from a copy, or move it away: `braid run --retrain` begins a new "
                "one.",
            ),
        )


def local_path(address: str) -> Path | None:
    """Returns the folder of an address, or None if it is on a server."""
    parsed = urlparse(address)
    return Path(unquote(parsed.path)) if parsed.scheme in ("", "file") else None
