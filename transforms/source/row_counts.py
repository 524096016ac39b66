"""Numbers of rows that files tell without being read."""

from __future__ import annotations

from transforms.contract.declaration.source import SourceSpec
from transforms.contract.workspace.partition import Partition
from transforms.source.formats import pieces
from transforms.source.scan import open_filesystem


def rows_before_reading(source: SourceSpec, partition: Partition) -> int | None:
    """Returns the rows of a partition's files by their footers.

    Returns:
        None of formats without any, and of windows, which have yet to be cut from the files.

    Raises:
        BraidError: A file is not of the format.
    """
    if source.windows is not None:
        return None
    filesystem, _ = open_filesystem(source.path)
    counts = [
        piece.rows
        for file in partition.files
        for piece in pieces(source.format, filesystem, file.path, file.size)
    ]
    known = [rows for rows in counts if rows is not None]
    return sum(known) if len(known) == len(counts) else None
