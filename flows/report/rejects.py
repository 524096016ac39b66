"""The rejected rows of a pipeline, with values that people can read and pictures as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, starmap
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from flows.records.backfill_record import read_backfills
from flows.records.record import read_records
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.cache import local_copies
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.files import Place, children, replacing
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import PartitionId
from transforms.reading.batches import Reject
from transforms.reading.sensitive import shown_rejects

PICTURES_SUFFIX = "-pictures"
_DAMAGED = "`braid check --repair` removes the partition, and a run makes it again."
# How the files of a picture's formats begin, and the suffix that programs know them by.
_BEGINNINGS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"RIFF": ".webp",
}
_LONGEST_NAME = 80
_ROWS_AT_A_TIME = 1_000
_SCHEMA = pa.schema(
    dict.fromkeys(("partition", "key", "file", "column", "reason", "value"), pa.string())
)


class RejectedRow(NamedTuple):
    """A row that no model saw.

    Attributes:
        partition: The name of its partition.
        key: Its key, or what stands for a sensitive one.
        file: The file that it is in.
        column: The column that cost it.
        reason: Why.
        value: What the column had.
    """

    partition: str
    key: str
    file: str
    column: str
    reason: str
    value: bytes


@dataclass(frozen=True)
class Selection:
    """The rejected rows that are asked for; empty fields ask for all.

    Attributes:
        reasons: Such as "missing".
        columns: Source columns.
        partitions: Names.
    """

    reasons: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()

    def takes(self, row: RejectedRow) -> bool:
        """Returns whether a row is asked for; its partition is seen to before."""
        return (not self.reasons or row.reason in self.reasons) and (
            not self.columns or row.column in self.columns
        )


def _newest_data(pipeline: PipelineSpec, workspace: Workspace) -> tuple[str, Mapping[str, str]]:
    """Returns the transform and the partitions, with their fingerprints, of the newest run.

    Raises:
        BraidError: Neither a run nor a backfill has committed any.
    """
    worked = [
        (record.started, record.transform, record.partitions)
        for _, record in read_records(workspace, pipeline.name)
    ]
    worked += [
        (backfill.started, backfill.transform, {p.name: p.fingerprint for p in backfill.partitions})
        for _, backfill in read_backfills(workspace, pipeline.name)
        if backfill.transform is not None
    ]
    for _, transform, partitions in sorted(worked, key=lambda work: work[0], reverse=True):
        seen = list(starmap(PartitionId, partitions.items()))
        committed = workspace.committed(transform, seen)
        if committed:
            return transform, dict(part for part in seen if part in committed)
    raise BraidError(
        f"pipeline {pipeline.name}",
        expected="rows that a run has transformed",
        received=f"none in {workspace.root}",
        action="`braid run` transforms them, and puts aside what it cannot use.",
    )


def rejected_rows(
    pipeline: PipelineSpec, workspace: Workspace, selection: Selection
) -> Iterator[RejectedRow]:
    """Yields the rejected rows of the newest run's data, without values that nobody is to read.

    Raises:
        BraidError: There is no such data, or a file of it is damaged.
        DeclarationError: A partition that is asked for is none of them.
    """
    transform, partitions = _newest_data(pipeline, workspace)
    for name in selection.partitions:
        if name not in partitions:
            raise DeclarationError(
                f"--partition {name}",
                expected=f"one of {', '.join(partitions)}",
                received="no such partition",
                action="`braid status` lists the partitions.",
            )
    for name in selection.partitions or partitions:
        for reject in read_rejects(pipeline, workspace.rejects(transform, name, partitions[name])):
            row = RejectedRow(partition=name, **vars(reject))
            if selection.takes(row):
                yield row


def read_rejects(pipeline: PipelineSpec, folder: Place) -> Iterator[Reject]:
    """Yields a partition's rejected rows as the declaration lets them be read now.

    They may have been kept under another one. A value that is missing is empty.

    Args:
        pipeline: The declaration.
        folder: The folder of the partition's rejected rows.

    Raises:
        BraidError: A file is damaged.
    """
    files = [path for path in children(folder) if path.name.endswith(".parquet")]
    copies = local_copies(files)
    for path in files:
        with reading(path, action=_DAMAGED, also=(pa.ArrowInvalid, OSError)):
            rejects = [Reject(**row) for row in pq.read_table(copies[path]).to_pylist()]
        yield from shown_rejects(
            pipeline,
            (replace(each, value=b"") if each.reason == "missing" else each for each in rejects),
        )


def text_of(value: bytes) -> str | None:
    """Returns a value as text, or None if it is none, such as a picture."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if "\0" not in text else None


def shown_value(value: bytes) -> str:
    """Returns a value for one cell of a table on a terminal."""
    text = text_of(value)
    if text is not None:
        return text
    kind = _suffix_of(value).removeprefix(".")
    return f"{len(value):,} bytes" + (f" of {kind}" if kind else "")


def _suffix_of(value: bytes) -> str:
    """Returns the suffix of a picture's format by how it begins; "" if it is none of them."""
    return next((suffix for begin, suffix in _BEGINNINGS.items() if value.startswith(begin)), "")


def write_rejected(rows: Iterator[RejectedRow], output: Path) -> tuple[int, int]:
    """Writes rejected rows as a table, and beside it every value that is no text as a file.

    Args:
        rows: The rows.
        output: The file, CSV or Parquet. Files of values are in `<its name>-pictures/`, and the
            table has their names.

    Returns:
        How many rows and how many files.
    """
    pictures = output.with_name(output.stem + PICTURES_SUFFIX)
    count = files = 0
    writer = pq.ParquetWriter if output.suffix == ".parquet" else pacsv.CSVWriter
    with replacing(output) as temporary, writer(temporary, _SCHEMA) as table:
        while part := list(islice(rows, _ROWS_AT_A_TIME)):
            cells = []
            for row in part:
                value = text_of(row.value)
                if value is None:
                    files += 1
                    value = _write_value(pictures, files, row)
                cells.append({**row._asdict(), "value": value})
            table.write_table(pa.Table.from_pylist(cells, _SCHEMA))
            count += len(part)
    return count, files


def _write_value(folder: Path, number: int, row: RejectedRow) -> str:
    """Writes a value that is no text as a file, and returns what the table has of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _file_name(number, row)
    path.write_bytes(row.value)
    return f"{folder.name}/{path.name}"


def _file_name(number: int, row: RejectedRow) -> str:
    """Returns a name that says which row it is, and holds nothing that a shell or path obeys."""
    key = re.sub(r"[^A-Za-z0-9_-]+", "_", row.key)[:_LONGEST_NAME]
    return f"{number:06d}-{key}{_suffix_of(row.value) or '.bin'}"
