"""Keys name rows, so that no two rows may share one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from transforms.columns.expressions import RowExpression
from transforms.columns.hashing import key_bytes, key_hashes
from transforms.columns.schema import number_columns
from transforms.columns.texts import utf8_only
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.source import SourceSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.files import replacing
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.reading.sensitive import shown_key
from transforms.source.changes import unchanged
from transforms.source.formats import pieces, read_piece
from transforms.source.scan import open_filesystem

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class KeysChecked:
    """Keys that are all different.

    Attributes:
        rows: Rows that have a key.
        partitions_read: Partitions whose keys were read; those of the others were known.
    """

    rows: int
    partitions_read: int


def check_unique(
    pipeline: PipelineSpec, partitions: Iterable[Partition], workspace: Workspace
) -> KeysChecked:
    """Looks for a key that two rows share, and for any key at all, where one is declared.

    Rows that `source.where` leaves out are not looked at. Keys that are null or no UTF-8 are
    rejected later, row by row. The hashes of a partition's keys are kept, so that only new
    partitions are read; they are 8 bytes a row, here and in memory.

    Raises:
        BraidError: Two rows share a key, which is named with its files; or no row has a key; or a
            file changed while it was read.
    """
    partitions = tuple(partitions)
    source = pipeline.source
    if not source.key_columns:
        return KeysChecked(0, 0)
    paths = [workspace.keys(source.key_rows, *p.id) for p in partitions]
    missing = [not path.exists() for path in paths]
    for path, partition, unknown in zip(paths, partitions, missing, strict=True):
        if unknown:
            with unchanged(source.path, partition.files):
                hashes = _hashes(pipeline, [partition])
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, hashes)
    rows = _refuse_equal(pipeline, partitions, [read_hashes(path) for path in paths])
    if rows == 0:
        files = sum(len(partition.files) for partition in partitions)
        raise BraidError(
            f"source.path {source.path}",
            expected="rows with a key",
            received=f"none in {files} file{'s' if files != 1 else ''}",
            action=f"Fill the table, or correct source.key {_quoted(source)}.",
        )
    return KeysChecked(rows, sum(missing))


def read_hashes(path: Path) -> np.ndarray:
    """Returns the hashes of a partition's keys, uint64 [rows].

    Raises:
        DamagedFile: The file is not as it was written.
    """
    with reading(path):
        hashes: np.ndarray = np.load(path, allow_pickle=False)
        if hashes.dtype != np.uint64 or hashes.ndim != 1:
            raise ValueError(f"{hashes.dtype} of {hashes.ndim} dimensions")
    return hashes


def check_no_shared(pipeline: PipelineSpec, partitions: Iterable[Partition]) -> None:
    """Looks for a key that two rows share; without a declared key nothing is read.

    Raises:
        BraidError: Two rows share one.
    """
    partitions = tuple(partitions) if pipeline.source.key_columns else ()
    _refuse_equal(pipeline, partitions, [_hashes(pipeline, partitions)])


def _hashes(pipeline: PipelineSpec, partitions: Iterable[Partition]) -> np.ndarray:
    hashes = [key_hashes(keys) for _, keys in _keys(pipeline, partitions)]
    return np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)


def _refuse_equal(
    pipeline: PipelineSpec, partitions: tuple[Partition, ...], parts: list[np.ndarray]
) -> int:
    hashes = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    hashes.sort()  # in place: at a billion rows a copy is 8 GB
    shared = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if len(shared):
        _refuse_shared(pipeline, partitions, shared)
    return len(hashes)


def _keys(
    pipeline: PipelineSpec, partitions: Iterable[Partition]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (file, keys as bytes) by batches, without those that are null or no UTF-8."""
    source = pipeline.source
    filesystem, _ = open_filesystem(source.path)
    where = RowExpression("source.where", source.where) if source.where else None
    columns = {*source.key_columns, *(where.columns if where else ())} - {source.partition_column}
    numbers = number_columns(pipeline)
    for partition in partitions:
        for file in partition.files:
            for piece in pieces(source.format, filesystem, file.path, file.size):
                for batch in read_piece(
                    source.format, filesystem, piece, sorted(columns), _BATCH_ROWS, numbers=numbers
                ):
                    table = {n: utf8_only(batch.column(n))[0] for n in batch.schema.names}
                    folder = pa.scalar(partition.value, pa.string())
                    table.setdefault(str(source.partition_column), pa.repeat(folder, len(batch)))
                    keys = key_bytes(*(table[name] for name in source.key_columns))
                    if where is not None:
                        keys = keys[where.holds(table)]
                    yield file.path, keys[keys != b""]


def _refuse_shared(
    pipeline: PipelineSpec, partitions: tuple[Partition, ...], shared: np.ndarray
) -> None:
    """Reads the keys again to tell equal keys from equal hashes, and names the first pair."""
    first_file: dict[bytes, str] = {}
    for file, keys in _keys(pipeline, partitions):
        suspects = np.isin(key_hashes(keys), shared)
        for key in keys[suspects]:
            if key in first_file:
                shown = shown_key(pipeline, key.decode())
                raise BraidError(
                    f"source.key {_quoted(pipeline.source)}",
                    expected="a key of its own for every row",
                    received=f"the key '{shown}' twice, in {first_file[key]} and in {file} "
                    f"({len(shared)} keys are shared in all)",
                    action="Remove the duplicates, or declare the column that names a row.",
                )
            first_file[key] = file


def _quoted(source: SourceSpec) -> str:
    return ", ".join(f"'{name}'" for name in source.key_columns)
