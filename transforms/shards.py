"""Writing the records of one unit of work, whole files only."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from transforms.contract.fingerprint import checksum
from transforms.contract.manifest import Shard
from transforms.contract.source import SplitName
from transforms.contract.workspace import replacing
from transforms.reading import Reject

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

    A file has a temporary name until it is whole. Use it as a context manager: on an error
    nothing of it stays.

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
        folder: Path,
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
        self._lanes = [_Lane() for _ in range(lanes)]
        self._turn = cycle(self._lanes)
        self._files = 0
        self.shards: list[Shard] = []

    def write(self, records: Iterable[bytes]) -> None:
        """Appends records, each lane in its turn."""
        for record in records:
            lane = next(self._turn)
            if lane.bytes >= self._shard_bytes:
                self._close(lane)
            if lane.writer is None:
                self._open(lane)
            lane.write(record)

    def close(self) -> list[Shard]:
        """Closes every file and returns them all."""
        for lane in self._lanes:
            self._close(lane)
        return self.shards

    def abandon(self) -> None:
        """Removes the files that are not whole."""
        for lane in self._lanes:
            with suppress(tf.errors.OpError):  # on a full disk a file cannot be closed either
                lane.close()
            if lane.temporary is not None:
                lane.temporary.unlink(missing_ok=True)

    def _open(self, lane: _Lane) -> None:
        lane.name = f"{self._stem}-{self._files:02d}.tfrecord"
        lane.temporary = self._folder / f".tmp-{lane.name}"
        lane.writer = tf.io.TFRecordWriter(str(lane.temporary))
        self._files += 1

    def _close(self, lane: _Lane) -> None:
        if lane.temporary is None:
            return
        lane.close()
        path = lane.temporary.replace(self._folder / lane.name)
        self.shards.append(
            Shard(
                file=lane.name,
                split=self._split,
                content=self._content,
                rows=lane.rows,
                bytes=path.stat().st_size,
                checksum=checksum(path),
            )
        )
        lane.temporary, lane.rows, lane.bytes = None, 0, 0


class _Lane:
    """One file that is being written."""

    def __init__(self) -> None:
        self.writer: tf.io.TFRecordWriter | None = None
        self.temporary: Path | None = None
        self.name = ""
        self.rows = 0
        self.bytes = 0

    def write(self, record: bytes) -> None:
        """Appends one record."""
        if self.writer is not None:
            self.writer.write(record)
            self.rows += 1
            self.bytes += len(record)

    def close(self) -> None:
        """Closes the file; what it holds stays."""
        if self.writer is not None:
            writer, self.writer = self.writer, None
            writer.close()


def write_rejects(path: Path, rejects: list[Reject]) -> None:
    """Writes rejected rows as Parquet: key, file, column, reason and the raw value as bytes."""
    rows = [vars(reject) for reject in rejects]
    with replacing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, _REJECT_SCHEMA), temporary)
