"""Writing the records of one unit of work, whole files only."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.contract.declaration.split import SplitName
from transforms.contract.fingerprint import new_checksum
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.files import TEMPORARY, Place, replacing
from transforms.contract.workspace.manifest import Shard
from transforms.contract.workspace.tfrecord import footer, header
from transforms.reading.batches import Reject

_BLOCK_BYTES = 1 << 16  # put together, hashed and written at once: Linux finds room for more slower
_REJECT_SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "file": pa.string(),
        "column": pa.string(),
        "reason": pa.string(),
        "value": pa.large_binary(),
    }
)


class ShardWriter:
    """Writes the records of one split of one unit into one or more files.

    Until `commit` they have temporary names that no other attempt at the unit has: a runner may
    start a second one while the first still writes. `abandon` removes what was not committed. In a
    bucket nothing is renamed: files are written on this machine's disk, and their content is a part
    of their objects' names, so that no late attempt changes what an earlier one committed.

    Args:
        folder: The partition's folder.
        stem: What the files' names begin with.
        split: The split of the records.
        content: What the records are.
        lanes: Files that are written side by side, for readers to interleave.
        shard_bytes: A file of this size is closed and the next one begun.
    """

    def __init__(
        self,
        folder: Place,
        stem: str,
        *,
        split: SplitName,
        content: Literal["stored", "raw"],
        lanes: int,
        shard_bytes: int,
    ) -> None:
        self._folder = folder
        self._stem = stem
        self._split = split
        self._content = content
        self._shard_bytes = shard_bytes
        self._attempt = uuid.uuid4().hex[:8]
        self._shards: list[Shard] = []
        self._lanes: deque[_ShardFile | None] = deque([None] * lanes)
        self._files: list[_ShardFile] = []

    def write(self, records: Sequence[bytes]) -> None:
        """Appends records, each lane in its turn."""
        for lane in range(len(self._lanes)):
            self._lanes[lane] = self._fill(self._lanes[lane], records[lane :: len(self._lanes)])
        self._lanes.rotate(-len(records))

    def close(self) -> list[Shard]:
        """Closes every file and returns what they will be, in the order in which they were full."""
        for lane, file in enumerate(self._lanes):
            if file is not None:
                self._close(file)
            self._lanes[lane] = None
        return self._shards

    def commit(self) -> None:
        """Gives the closed files their names."""
        while self._files:
            self._files[-1].commit()
            self._files.pop()

    def abandon(self) -> None:
        """Removes the files that were not committed."""
        for file in self._files:
            file.abandon()

    def _fill(self, file: _ShardFile | None, records: Sequence[bytes]) -> _ShardFile | None:
        """Appends records of one lane; returns the file that takes the next ones."""
        ends = np.cumsum([0, *map(len, records)])
        first = 0
        while first < len(records):
            file = file or self._open()
            full = ends[first] + self._shard_bytes - file.data_bytes
            stop = min(int(np.searchsorted(ends, full)), len(records))
            file.write(records[first:stop])
            if file.data_bytes >= self._shard_bytes:
                self._close(file)
                file = None
            first = stop
        return file

    def _open(self) -> _ShardFile:
        name = f"{self._stem}-{len(self._files):02d}.tfrecord"
        file = _ShardFile(self._folder, name, self._attempt)
        self._files.append(file)
        return file

    def _close(self, file: _ShardFile) -> None:
        size, checksum = file.close()
        self._shards.append(
            Shard(
                file=file.name,
                split=self._split,
                content=self._content,
                rows=file.rows,
                bytes=size,
                checksum=checksum,
            )
        )


class _ShardFile:
    """A TFRecord file that is being written, under a temporary name.

    TensorFlow's writer takes one record a call, and a file that it wrote has to be read again to
    be hashed.

    Attributes:
        name: What it will be called; in a bucket the content is added once it is known.
        rows: The number of its records.
        data_bytes: What they take, without their frames.
    """

    def __init__(self, folder: Place, name: str, attempt: str) -> None:
        self.name = name
        self._folder = folder
        temporary = f"{TEMPORARY}{attempt}-{name}"
        if isinstance(folder, BucketPath):
            self._temporary = folder.bucket.new_scratch(temporary)
        else:
            self._temporary = folder / temporary
        self._file = self._temporary.open("wb")
        self._checksum = new_checksum()
        self.rows = 0
        self.data_bytes = 0

    def write(self, records: Sequence[bytes]) -> None:
        """Appends records."""
        data_bytes = sum(map(len, records))
        block = max(1, _BLOCK_BYTES * len(records) // max(data_bytes, 1))
        for first in range(0, len(records), block):
            framed = _framed(records[first : first + block])
            self._checksum.update(framed)
            self._file.write(framed)
        self.rows += len(records)
        self.data_bytes += data_bytes

    def close(self) -> tuple[int, str]:
        """Ends the file; returns its size and its checksum."""
        self._file.close()
        content = self._checksum.hexdigest()
        if isinstance(self._folder, BucketPath):
            stem, suffix = self.name.rsplit(".", 1)
            self.name = f"{stem}.{content}.{suffix}"
        return self._temporary.stat().st_size, content

    def commit(self) -> None:
        """Gives the file its name."""
        if isinstance(self._folder, BucketPath):
            (self._folder / self.name).upload(self._temporary)
            self._temporary.unlink()
        else:
            self._temporary.replace(self._folder / self.name)

    def abandon(self) -> None:
        """Removes the file."""
        with suppress(OSError):  # on a full disk it cannot be closed either
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def _framed(records: Sequence[bytes]) -> bytes:
    parts = [b""] * (3 * len(records))
    parts[0::3] = map(header, map(len, records))
    parts[1::3] = records
    parts[2::3] = map(footer, records)
    return b"".join(parts)


def write_rejects(path: Place, rejects: list[Reject]) -> None:
    """Writes rejected rows as Parquet: key, file, column, reason and the raw value as bytes."""
    rows = [vars(reject) for reject in rejects]
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, _REJECT_SCHEMA), temporary)
