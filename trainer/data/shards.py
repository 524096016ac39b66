"""The files that a job reads, and the proof that they are those that were committed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import checksum
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.cache import cache_of
from transforms.contract.workspace.files import Place
from transforms.contract.workspace.manifest import Shard, ShardManifest
from transforms.contract.workspace.tfrecord import CRC, HEADER_BYTES, LENGTH, footer

_THREADS = 4  # XXH3 releases the GIL; one thread hashes faster than most disks read


@dataclass(frozen=True)
class ShardFile:
    """One committed shard and where it lies.

    Attributes:
        path: The path to read it by; of a bucket's shard that of its copy, which `fetch` makes.
        shard: What the manifest says of it.
        stored: The object that it is in a bucket.
    """

    path: Path
    shard: Shard
    stored: BucketPath | None = None

    def fetch(self) -> Path:
        """Returns the path once it is there: of a bucket's shard, a verified copy.

        Raises:
            DamagedFile: The object is gone, or is not what was committed.
            StoreFailed: The bucket does not answer.
        """
        if self.stored is None:
            return self.path
        return cache_of(self.stored.bucket).fetch(
            self.stored, self.shard.bytes, self.shard.checksum
        )

    def fail(self, error: BraidError) -> None:
        """Notes why a bucket's shard cannot be read, for `failure`."""
        if self.stored is not None:
            cache_of(self.stored.bucket).failed[self.path] = error

    def failure(self) -> BraidError | None:
        """Returns why a bucket's shard could not be read, if that was so."""
        return cache_of(self.stored.bucket).failed.get(self.path) if self.stored else None


@dataclass(frozen=True)
class Damage:
    """The first record of a TFRecord file that cannot be read.

    Attributes:
        record: Its number, from 0.
        offset: Where it begins, in bytes.
        what: What is wrong with it.
    """

    record: int
    offset: int
    what: str


def shard_files(
    job: TrainJob, split: str, content: Literal["stored", "raw"] = "stored"
) -> tuple[ShardFile, ...]:
    """Returns a split's shards of all partitions, in the order of partition and file name."""
    folders = sorted(job.shard_folders(), key=lambda partition: str(partition[0]))
    return tuple(file for partition in folders for file in files_of(*partition, split, content))


def files_of(
    folder: Place, manifest: ShardManifest, split: str, content: str = "stored"
) -> tuple[ShardFile, ...]:
    """Returns a split's shards of one partition, in the order of their names."""
    return tuple(
        _file_of(folder, shard)
        for shard in sorted(manifest.shards, key=lambda shard: shard.file)
        if shard.split == split and shard.content == content
    )


def _file_of(folder: Place, shard: Shard) -> ShardFile:
    if isinstance(folder, Path):
        return ShardFile(folder / shard.file, shard)
    stored = folder / shard.file
    return ShardFile(cache_of(folder.bucket).path_of(stored, shard.checksum), shard, stored)


def count_rows(files: Sequence[ShardFile]) -> int:
    """Returns the number of records in the files."""
    return sum(file.shard.rows for file in files)


def verify(files: Sequence[ShardFile]) -> None:
    """Compares every file's size and checksum with its manifest.

    A bucket's shards are compared when they are copied, just before they are read.

    Raises:
        BraidError: A file is missing or is not what was committed; names the first damaged record.
    """
    files = [file for file in files if file.stored is None]
    with ThreadPoolExecutor(_THREADS) as pool:
        for file, intact in zip(files, pool.map(_is_intact, files), strict=True):
            if not intact:
                raise damaged(file)


def damaged(file: ShardFile) -> BraidError:
    """Returns the error for a file that is not what its manifest says."""
    remade = (
        f"Delete the folder {file.path.parent} and run again: its partition is then "
        "transformed anew."
    )
    return BraidError(
        str(file.path),
        expected=f"the committed shard of {file.shard.rows} records in {file.shard.bytes} bytes",
        received=_describe(file),
        action=f"Delete this copy of {file.stored} and run again." if file.stored else remade,
    )


def first_damage(path: Path) -> Damage | None:
    """Walks a TFRecord file and returns its first damaged record, or None."""
    size, offset, record = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while offset < size:
            head = file.read(HEADER_BYTES)
            if len(head) < HEADER_BYTES:
                return Damage(record, offset, "the file ends within its header")
            packed = head[: LENGTH.size]
            if head[LENGTH.size :] != footer(packed):
                return Damage(record, offset, "its length has a wrong checksum")
            (length,) = LENGTH.unpack(packed)
            end = offset + HEADER_BYTES + length + CRC.size
            if end > size:
                return Damage(record, offset, "the file ends within its data")
            data, crc = file.read(length), file.read(CRC.size)
            if crc != footer(data):
                return Damage(record, offset, "its data has a wrong checksum")
            offset, record = end, record + 1
    return None


def _is_intact(file: ShardFile) -> bool:
    try:
        size = file.path.stat().st_size
    except FileNotFoundError:
        return False
    return size == file.shard.bytes and checksum(file.path) == file.shard.checksum


def _describe(file: ShardFile) -> str:
    if not file.path.exists():
        return "no such file"
    damage = first_damage(file.path)
    if damage is not None:
        return f"damage in record {damage.record} at byte {damage.offset}: {damage.what}"
    return f"a readable file of {file.path.stat().st_size} bytes with other content"
