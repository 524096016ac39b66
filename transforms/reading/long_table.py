"""Reading a long table, one row per time step, into memory and into order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.conform import conform, decoded, parse_numbers
from transforms.columns.schema import is_text
from transforms.columns.splits import time_bounds
from transforms.columns.texts import bytes_of, utf8_only
from transforms.contract.columns.features import RawColumn
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import TimeSplit
from transforms.contract.errors import BraidError
from transforms.contract.workspace.partition import SourceFile
from transforms.reading.sensitive import shown_value
from transforms.source.formats import pieces, read_piece
from transforms.source.scan import open_filesystem
from transforms.source.windows import time_type, windows_of

_READ_ROWS = 65_536
_OfFile = tuple[str, pa.RecordBatch]  # the path of the file that rows are from, and they


@dataclass(frozen=True)
class LongTable:
    """The rows of a long table in the order of entity and time.

    Attributes:
        entity: The text of every row's entity; None without entities.
        time: The text of every row's time.
        first: The row at which the row's series begins, int64 [rows].
        last: The row at which it ends.
        region: 0 before validation_from, 1 before test_from, 2 from there on, int8 [rows].
        values: float32 [rows] by column.
        kept: The columns to keep.
    """

    entity: pa.Array | None
    time: pa.Array
    first: np.ndarray
    last: np.ndarray
    region: np.ndarray
    values: dict[str, np.ndarray]
    kept: pa.Table


def read_long_table(
    pipeline: PipelineSpec,
    files: tuple[SourceFile, ...],
    *,
    labelled: bool,
    most_rows: int | None = None,
) -> LongTable:
    """Reads the columns that windows are made of, and puts their rows in order.

    Args:
        pipeline: The declaration, with windows and a split by time.
        files: The long table's files.
        labelled: Whether the split's bounds are looked at.
        most_rows: Of more rows only the first so many are read.

    Raises:
        BraidError: A row has no time, no entity or no number where one is needed, two rows of an
            entity have one time, or there is no row.
    """
    windows = windows_of(pipeline)
    batches = [
        _checked(pipeline, batch, path)
        for path, batch in _first(_read_batches(pipeline, files), most_rows)
    ]
    _refuse_no_rows(pipeline, batches)
    table, moment = _joined(pipeline, batches)
    ticks, codes, entity = _ticks(moment), np.zeros(len(moment), np.int64), None
    if windows.entity is not None:
        entity = table[windows.entity].cast(pa.large_string()).combine_chunks()
        codes = _codes(entity)
    order = np.lexsort((ticks, codes))
    ticks, codes = ticks[order], codes[order]
    text = table[windows.time].cast(pa.large_string()).combine_chunks().take(pa.array(order))
    entity = None if entity is None else entity.take(pa.array(order))
    _refuse_shared_times(pipeline, codes, ticks, entity, text)
    begins = np.flatnonzero(np.diff(codes, prepend=-1))
    sizes = np.diff(begins, append=len(codes))
    values = {
        name: np.concatenate([b.values[name] for b in batches])[order] for name in windows.values
    }
    region = _regions(pipeline, moment) if labelled else np.zeros(len(order), np.int8)
    return LongTable(
        entity=entity,
        time=text,
        first=np.repeat(begins, sizes),
        last=np.repeat(begins + sizes - 1, sizes),
        region=region[order],
        values=values,
        kept=table.select(windows.keep).take(pa.array(order)),
    )


@dataclass(frozen=True)
class _Batch:
    table: pa.Table
    moment: pa.Array
    values: dict[str, np.ndarray]


def _refuse_no_rows(pipeline: PipelineSpec, batches: list[_Batch]) -> None:
    if not sum(batch.table.num_rows for batch in batches):
        raise BraidError(
            f"source.path {pipeline.source.path}",
            expected="a table with rows",
            received="none",
            action="Put rows into the table, or correct source.path.",
        )


def _joined(pipeline: PipelineSpec, batches: list[_Batch]) -> tuple[pa.Table, pa.ChunkedArray]:
    """Returns the rows of all batches, and their times as they are compared."""
    try:
        table = pa.concat_tables([b.table for b in batches], promote_options="permissive")
        return table, pa.chunked_array([b.moment for b in batches])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BraidError(
            f"source.windows of {pipeline.source.path}",
            expected="columns of one type in all files",
            received=" ".join(str(error).split()),
            action="Write the files with one schema.",
        ) from None


def _first(batches: Iterable[_OfFile], most_rows: int | None) -> Iterator[_OfFile]:
    left = most_rows
    for path, batch in batches:
        yield path, batch.slice(0, left)
        if left is not None:
            left -= batch.num_rows
            if left <= 0:
                return


def _read_batches(pipeline: PipelineSpec, files: tuple[SourceFile, ...]) -> Iterator[_OfFile]:
    source, windows = pipeline.source, windows_of(pipeline)
    filesystem, _ = open_filesystem(source.path)
    for file in files:
        for piece in pieces(source.format, filesystem, file.path, file.size):
            for batch in read_piece(
                source.format,
                filesystem,
                piece,
                list(windows.columns()),
                _READ_ROWS,
                numbers=windows.values,
            ):
                yield file.path, batch


def _checked(pipeline: PipelineSpec, batch: pa.RecordBatch, path: str) -> _Batch:
    """Refuses rows that no window can be made of, and converts times and values."""
    windows = windows_of(pipeline)
    names = list(dict.fromkeys(filter(None, (windows.entity, windows.time, *windows.values))))
    # What is kept is checked where the windows' rows are read.
    checked = {name: utf8_only(batch.column(name)) for name in names}
    columns = {n: checked[n][0] if n in checked else batch.column(n) for n in windows.columns()}
    table = pa.table({name: decoded(column) for name, column in columns.items()})

    def refuse(rows: np.ndarray, column: str, expected: str, action: str) -> None:
        if len(rows):
            first = int(rows[0])
            row = table.select(names).slice(first, 1).to_pylist()[0]
            if first in checked[column][1]:
                row[column] = bytes_of(batch.column(column).slice(first, 1))
            named = {name: row[name] for name in (windows.entity, windows.time) if name}
            where = ", ".join(
                f"{name} {shown_value(pipeline, name, value)}" for name, value in named.items()
            )
            received = shown_value(pipeline, column, repr(row[column]))
            raise BraidError(
                f"column '{column}' at {where}, in {path}",
                expected=expected,
                received=received + (f", and {len(rows) - 1:,} more" * (len(rows) > 1)),
                action=action,
            )

    for name, (_, not_utf8) in checked.items():
        refuse(not_utf8, name, "texts in UTF-8", "Write the column anew in UTF-8.")
    for name in filter(None, (windows.entity, windows.time)):
        nulls = np.flatnonzero(_is_missing(table[name].combine_chunks()))
        refuse(nulls, name, "a value in every row", "Fill it, or leave such rows out.")
    moment, unread = _moments(pipeline, table[windows.time].combine_chunks())
    refuse(
        unread,
        windows.time,
        f"what is read as {moment.type}",
        "Write times in ISO 8601, or numbers and give the split's bounds as numbers.",
    )
    values = {}
    for name in windows.values:
        raw = RawColumn(name=name, dtype="float32")
        conformed = conform(raw, table[name].combine_chunks())
        bad = np.array(sorted(conformed.invalid), np.int64)
        refuse(bad, name, "a finite number or nothing", "Correct the value, or leave it empty.")
        values[name] = conformed.values
    return _Batch(table.drop_columns(list(set(windows.values) - _other(pipeline))), moment, values)


def _is_missing(column: pa.Array) -> np.ndarray:
    """Returns the rows that are null or an empty text, bool [rows]."""
    missing = column.is_null()
    if is_text(column.type):
        missing = pc.or_(missing, pc.equal(pc.binary_length(column.cast(pa.large_string())), 0))
        missing = pc.fill_null(missing, True)
    return np.asarray(missing.to_numpy(zero_copy_only=False))


def _other(pipeline: PipelineSpec) -> set[str]:
    """Returns the columns that are read for more than their numbers."""
    windows = windows_of(pipeline)
    return {windows.time, *windows.keep, *((windows.entity,) if windows.entity else ())}


def _moments(pipeline: PipelineSpec, column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Returns times as they are compared, and the rows whose time cannot be."""
    split = pipeline.split
    type_ = time_type(split, column.type) if isinstance(split, TimeSplit) else column.type
    if pat.is_floating(column.type):
        return column, np.flatnonzero(np.isnan(column.to_numpy(zero_copy_only=False)))
    if type_ == column.type:
        return column, np.zeros(0, np.int64)
    if pat.is_floating(type_):
        numbers, _ = parse_numbers(column)
        return numbers, np.flatnonzero(numbers.is_null().to_numpy(zero_copy_only=False))
    try:
        return column.cast(type_), np.zeros(0, np.int64)
    except pa.ArrowInvalid:  # some text is none, or has a time zone
        pass
    moments: list[Any] = []
    unread = []
    for row, text in enumerate(column.to_pylist()):
        try:
            moments.append(_utc(text))
        except ValueError:
            moments.append(None)
            unread.append(row)
    return pa.array(moments, type_), np.array(unread, np.int64)


def _utc(text: str) -> datetime:
    """Parses ISO 8601; a time without a zone is UTC, as the split's bounds are."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _ticks(moment: pa.ChunkedArray) -> np.ndarray:
    """Returns times as numbers of the same order, int64 or float64 [rows]."""
    if pat.is_date32(moment.type):
        moment = moment.cast(pa.int32())
    if not pat.is_floating(moment.type):
        moment = moment.cast(pa.int64())
    return np.asarray(moment.to_numpy())


def _codes(entity: pa.Array) -> np.ndarray:
    """Returns the rank of every row's entity among the entities, int64 [rows]."""
    encoded = entity.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return np.asarray(rank[encoded.indices.to_numpy()])


def _refuse_shared_times(
    pipeline: PipelineSpec,
    codes: np.ndarray,
    ticks: np.ndarray,
    entity: pa.Array | None,
    text: pa.Array,
) -> None:
    shared = np.flatnonzero((np.diff(codes) == 0) & (np.diff(ticks) == 0))
    if len(shared) == 0:
        return
    windows, row = windows_of(pipeline), int(shared[0])
    whose = "" if entity is None else f" for {windows.entity} {entity[row]}"
    raise BraidError(
        f"column '{windows.time}' of {pipeline.source.path}",
        expected="one row a time" + (f" and {windows.entity}" if windows.entity else ""),
        received=f"{text[row]} twice{whose}; {len(shared):,} rows have the time of another in all",
        action="Remove or join such rows, or name the column that tells them apart as "
        "source.windows.entity.",
    )


def _regions(pipeline: PipelineSpec, moment: pa.ChunkedArray) -> np.ndarray:
    split = pipeline.split
    if not isinstance(split, TimeSplit):
        raise ValueError(f"windows of {pipeline.name} are split by {split.by}")
    bounds = time_bounds(split, moment.type)
    reached = [pc.greater_equal(moment, bound).to_numpy().astype(np.int8) for bound in bounds]
    return np.asarray(reached[0] + reached[1])
