"""Cutting partitions into units of work: what one worker reads, transforms and writes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pyarrow.fs as pafs

from transforms.contract.declaration.source import Format
from transforms.contract.workspace.partition import Partition, SourceFile
from transforms.source.formats import Piece, pieces

_UNIT_BYTES = 64 * 1024 * 1024  # of source; a few seconds of work, so that little is lost to a kill
_SLICE_ROWS = 1_000  # a smaller slice of a row group costs more to reach than it gains


@dataclass(frozen=True)
class WorkUnit:
    """Some consecutive pieces of a partition, or a slice of one piece.

    Attributes:
        partition: The partition's name.
        value: The partition's hive value.
        index: Its number in the partition; shards are named by it.
        pieces: What to read, in order.
        start: The first row of a sliced piece.
        stop: The row after the last one; None reads to the end.
    """

    partition: str
    value: str | None
    index: int
    pieces: tuple[Piece, ...]
    start: int = 0
    stop: int | None = None

    def rows(self) -> int | None:
        """Returns the number of rows, where it is known before reading."""
        known = [piece.rows for piece in self.pieces]
        if None in known:
            return None
        total = sum(rows for rows in known if rows is not None)
        return (total if self.stop is None else self.stop) - self.start


def read_files(partitions: Sequence[Partition], unit: WorkUnit) -> list[SourceFile]:
    """Returns the files that a unit of one of the partitions reads, as they were planned."""
    partition = next(part for part in partitions if part.name == unit.partition)
    paths = {piece.path for piece in unit.pieces}
    return [file for file in partition.files if file.path in paths]


def plan_units(
    partition: Partition, *, format_: Format | None, filesystem: pafs.FileSystem, at_least: int
) -> list[WorkUnit]:
    """Cuts a partition into units of about equal size.

    Args:
        partition: What to cut.
        format_: The source's format, if it says one.
        filesystem: Where its files are.
        at_least: How many units keep all workers busy; a small partition gives fewer.

    Raises:
        BraidError: A file is not of the format.
    """
    parts = [
        piece
        for file in partition.files
        for piece in pieces(format_, filesystem, file.path, file.size)
    ]
    total = sum(piece.bytes for piece in parts)
    wanted = max(at_least, -(-total // _UNIT_BYTES))
    units = _grouped(partition, parts, wanted) if len(parts) >= wanted else []
    if not units:
        # No more than are needed: what is before a slice is decoded once more.
        slices = -(-at_least // max(len(parts), 1))
        units = [unit for piece in parts for unit in _sliced(partition, piece, slices)]
    return [replace(unit, index=index) for index, unit in enumerate(units)]


def _grouped(partition: Partition, parts: Sequence[Piece], wanted: int) -> list[WorkUnit]:
    target = sum(piece.bytes for piece in parts) / wanted
    groups: list[list[Piece]] = [[]]
    filled = 0
    for piece in parts:
        if groups[-1] and filled + piece.bytes / 2 > target * len(groups):
            groups.append([])
        groups[-1].append(piece)
        filled += piece.bytes
    return [WorkUnit(partition.name, partition.value, 0, tuple(group)) for group in groups]


def _sliced(partition: Partition, piece: Piece, slices: int) -> list[WorkUnit]:
    whole = WorkUnit(partition.name, partition.value, 0, (piece,))
    if piece.rows is None:
        return [whole]
    count = max(1, min(slices, piece.rows // _SLICE_ROWS))
    bounds = [piece.rows * i // count for i in range(count + 1)]
    return [replace(whole, start=start, stop=stop) for start, stop in pairwise(bounds)]
