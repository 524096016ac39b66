"""Some rows of a table of any size, from row groups or byte ranges spread over its files."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from transforms.columns.hashing import as_text
from transforms.columns.plain_columns import plain_schema
from transforms.columns.schema import is_scalar
from transforms.columns.texts import utf8_only
from transforms.contract.declaration.source import Format, SourceSpec
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.partition import SourceFile
from transforms.source.formats import (
    PACKED,
    SUFFIXES,
    Piece,
    format_of,
    pieces,
    read_piece,
    read_schema,
    suffixes_of,
)
from transforms.source.scan import check_unique_names, open_filesystem, scan

ROWS = 20_000  # about so many make a share of 1 % known to a tenth of it
_FILES = 32  # footers and openings cost the most where files are far away
_PARTS = 16  # of all files together
_BATCH_ROWS = 250
_PART_BYTES = 8 * 1024 * 1024  # of decoded rows: 20,000 pictures would not be a sample
_WHOLE_BYTES = 8 * 1024 * 1024  # a smaller file of lines is read from its first line to its last
_RANGE_BYTES = 512 * 1024
_LINES: tuple[Format, ...] = ("csv", "jsonl")
_Item = TypeVar("_Item")
_OfFile = tuple[str, pa.RecordBatch]  # a batch, and the path of the file that it is from


@dataclass(frozen=True)
class Sample:
    """Rows of a table, in the order of its files.

    Attributes:
        source: Where they are from; of a table without a declaration, it has no key yet.
        files: All files of the table, in their order; none of windows.
        table: The rows, with plain columns.
        is_whole: Whether these are all rows of the table.
    """

    source: SourceSpec
    files: tuple[SourceFile, ...]
    table: pa.Table
    is_whole: bool


def take_sample(path: str, format_: Format | None = None) -> Sample:
    """Reads about `ROWS` rows.

    Args:
        path: A file, a folder or a glob, as `source.path`.
        format_: Of its files; by default what their suffixes say.

    Raises:
        BraidError: Nothing is there, a file cannot be read, or there are no rows.
    """
    source, files = _listed(path, format_)
    sample = sample_rows(source, files)
    table = sample.table
    columns = {name: utf8_only(table[name].combine_chunks())[0] for name in table.column_names}
    return replace(sample, table=pa.table(columns))


def sample_rows(
    source: SourceSpec,
    files: tuple[SourceFile, ...],
    columns: Collection[str] | None = None,
    folders: Mapping[str, str | None] | None = None,
    numbers: Collection[str] = (),
) -> Sample:
    """Reads about `ROWS` rows of files that are listed already, with whatever texts they have.

    Args:
        source: Where they are from.
        files: All files of the table, in their order.
        columns: What to read; None reads every column of the first file.
        folders: The value of the source's partition column for the path of every file; None leaves
            that column out.
        numbers: As of `read_piece`.

    Raises:
        BraidError: A file cannot be read, or lacks a column, or there are no rows.
    """
    filesystem, _ = open_filesystem(source.path)
    chosen = _spread(files, _FILES)
    format_ = format_of(chosen[0].path, source.format)
    schema = plain_schema(read_schema(format_, filesystem, chosen[0].path))
    check_unique_names(schema, chosen[0].path)
    if columns is not None:
        schema = pa.schema([field for field in schema if field.name in columns])
    rows = ROWS // min(len(chosen), _PARTS)
    reader = _Reader(format_, filesystem, schema.names, numbers, rows)
    read, is_whole = reader.read(chosen)
    table = _table(source.path, [batch for _, batch in read], schema)
    if folders is not None and source.partition_column is not None:
        values = [folders[path] for path, batch in read for _ in range(batch.num_rows)]
        table = table.append_column(source.partition_column, pa.array(values, pa.string()))
    if not table.num_rows:
        raise BraidError(
            source.path,
            expected="a table with rows",
            received="none",
            action="Put rows into the table, or give another one.",
        )
    return Sample(source, files, table, is_whole and len(chosen) == len(files))


def _table(path: str, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Returns the rows of all batches; files may have other types than the first one.

    Args:
        path: The path of the table.
        batches: Of all files, with the columns of the first.
        schema: The first file's.

    Raises:
        BraidError: A column has types that nothing takes both of.
    """
    columns = {}
    for field in schema:
        arrays = [batch.column(field.name) for batch in batches]
        try:
            columns[field.name] = _of_one_type(arrays, field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise BraidError(
                f"column '{field.name}' of {path}",
                expected="one type in all files, or types of which one takes the others",
                received=" ".join(str(error).split()),
                action="Write the files with one schema.",
            ) from None
    return pa.table(columns)


def _of_one_type(arrays: Sequence[pa.Array], default: pa.DataType) -> pa.ChunkedArray:
    """Returns arrays as one column: of the type that takes all that have values, or as text."""
    types = {array.type for array in arrays if array.null_count < len(array)} or {default}
    try:
        schemas = [pa.schema([("", type_)]) for type_ in types]
        type_ = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        cast = [_nulls_or_cast(array, type_) for array in arrays]
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        if not all(is_scalar(each) for each in types):
            raise
        type_ = pa.large_string()
        cast = [as_text(array) for array in arrays]
    return pa.chunked_array(cast, type_)


def _nulls_or_cast(array: pa.Array, type_: pa.DataType) -> pa.Array:
    is_empty = array.null_count == len(array)
    return pa.nulls(len(array), type_) if is_empty else array.cast(type_)


def _listed(path: str, format_: Format | None) -> tuple[SourceSpec, tuple[SourceFile, ...]]:
    sources = [SourceSpec(path=path, format=each) for each in ([format_] if format_ else SUFFIXES)]
    counted: list[tuple[int, SourceSpec, tuple[SourceFile, ...]]] = []
    for source in sources:
        try:
            files = scan(source).files()
        except BraidError:
            if format_:
                raise
            continue
        fitting = sum(file.path.endswith(suffixes_of(source.format)) for file in files)
        if fitting or format_:
            counted.append((fitting, source, files))
    if not counted:
        suffixes = ", ".join(suffix for each in SUFFIXES.values() for suffix in each)
        raise DeclarationError(
            f"--from {path}",
            expected=f"a file, a folder or a glob with files that end in one of {suffixes}",
            received="none",
            action="Correct the path, or say what the files are with --format.",
        )
    _, source, files = max(counted, key=lambda each: each[0])
    return source, files


def _spread(items: Sequence[_Item], most: int) -> list[_Item]:
    """Returns at most so many items, evenly from the first to the last."""
    if len(items) <= most:
        return list(items)
    return [items[index * (len(items) - 1) // (most - 1)] for index in range(most)]


class _Reader:
    """Reads a limited number of rows from each of some parts of files."""

    def __init__(
        self,
        format_: Format,
        filesystem: pafs.FileSystem,
        columns: list[str],
        numbers: Collection[str],
        rows: int,
    ) -> None:
        self._format = format_
        self._filesystem = filesystem
        self._columns = columns
        self._numbers = numbers
        self._rows = rows  # of a file, where there are several

    def read(self, files: Sequence[SourceFile]) -> tuple[list[_OfFile], bool]:
        """Returns batches in the order of the files, and whether nothing of these was left out."""
        if self._format in _LINES:
            names = [file.path for file in files]
            parts = [self._lines(file, max(self._rows, ROWS // len(files))) for file in files]
            is_whole = True
        else:
            every = [
                piece
                for file in files
                for piece in pieces(self._format, self._filesystem, file.path, file.size)
            ]
            chosen = _spread(every, _PARTS)
            names = [piece.path for piece in chosen]
            parts = [self._piece(piece, ROWS // min(len(every), _PARTS)) for piece in chosen]
            is_whole = len(every) <= _PARTS
        read = [(name, b) for name, (batches, _) in zip(names, parts, strict=True) for b in batches]
        return read, is_whole and all(whole for _, whole in parts)

    def _piece(self, piece: Piece, rows: int) -> tuple[list[pa.RecordBatch], bool]:
        return _limited(self._batches(self._filesystem, piece, _BATCH_ROWS), rows)

    def _lines(self, file: SourceFile, rows: int) -> tuple[list[pa.RecordBatch], bool]:
        piece = Piece(file.path, None, None, file.size)
        if file.size <= _WHOLE_BYTES or file.path.endswith(PACKED):
            read = self._batches(self._filesystem, piece, 65_536)
            return _thinned(read, rows, whole=file.size <= _WHOLE_BYTES)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "lines"
            place.write_bytes(self._ranges(file, rows))
            cut = Piece(str(place), None, None, place.stat().st_size)
            try:
                read = self._batches(pafs.LocalFileSystem(), cut, 65_536)
                batches, _ = _thinned(read, rows, whole=True)
            except BraidError:  # a range began within a text that has line breaks
                return self._piece(piece, rows)[0], False
        return batches, False

    def _ranges(self, file: SourceFile, rows: int) -> bytes:
        """Returns the header line and whole lines from byte ranges all over a file."""
        count = max(2, _PARTS * rows // ROWS)
        kept = []
        with self._filesystem.open_input_file(file.path) as lines:
            for start in range(0, file.size, -(-file.size // count)):
                lines.seek(start)
                octets = lines.read(_RANGE_BYTES)
                first = octets.find(b"\n") + 1 if start else 0
                kept.append(octets[first : octets.rfind(b"\n") + 1])
        return b"".join(kept)

    def _batches(
        self, filesystem: pafs.FileSystem, piece: Piece, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        return read_piece(
            self._format, filesystem, piece, self._columns, batch_rows, numbers=self._numbers
        )


def _limited(batches: Iterator[pa.RecordBatch], rows: int) -> tuple[list[pa.RecordBatch], bool]:
    """Returns the first rows, and whether there were no more."""
    kept: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        if count >= rows or size >= _PART_BYTES:
            return kept, False
        kept.append(batch.slice(0, rows - count))
        count += batch.num_rows
        size += batch.nbytes
    return kept, count <= rows


def _thinned(
    batches: Iterator[pa.RecordBatch], rows: int, *, whole: bool
) -> tuple[list[pa.RecordBatch], bool]:
    """Returns rows evenly spread over all batches, or, of a packed file, its first ones."""
    if not whole:
        return _limited(batches, rows)
    every = list(batches)
    if sum(batch.num_rows for batch in every) <= rows:
        return every, True
    table = pa.Table.from_batches(every)
    places = [index * table.num_rows // rows for index in range(rows)]
    return table.take(pa.array(places)).to_batches(), False
