"""Parquet, CSV, JSON lines and Arrow IPC: their schemas, their parts, and batches of their rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.fs as pafs
import pyarrow.ipc as paipc
import pyarrow.json as pajson
import pyarrow.parquet as pq
import pyarrow.types as pat

from transforms.columns.plain_columns import plain_batch
from transforms.contract.declaration.source import Format
from transforms.contract.errors import BraidError

PACKED = (".gz", ".zst")  # which Arrow unpacks as it reads
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq"),
    "csv": tuple(name + packed for name in (".csv", ".tsv") for packed in ("", *PACKED)),
    "jsonl": (
        *(".ndjson", ".json"),
        *(".jsonl" + packed for packed in ("", *PACKED)),
    ),
    "arrow": (".arrow", ".feather", ".ipc"),
}
_DELIMITERS = ",;\t|"
_SEEN_BYTES = 1024 * 1024  # of a CSV file, to see its delimiter; Arrow takes no longer row
_SEEN_ROWS = 20
_COLUMN_ROWS = 65_536  # of a column that is read alone, at a time
_BUFFER_BYTES = 64 * 1024  # of each column
_READER_BYTES = 2 * 1024 * 1024  # of a column: a page, compressed and not, and a dictionary
_TITLES = {"parquet": "Parquet", "csv": "CSV", "jsonl": "JSON lines", "arrow": "Arrow IPC"}


@dataclass(frozen=True)
class Piece:
    """A part of a file that is read on its own.

    Attributes:
        index: The row group or record batch; None is the whole file.
        rows: Its number of rows; None where only reading tells.
        bytes: Its size in the file.
    """

    path: str
    index: int | None
    rows: int | None
    bytes: int


def suffixes_of(declared: Format | None) -> tuple[str, ...]:
    """Returns how the names of a source's files may end."""
    if declared is not None:
        return SUFFIXES[declared]
    return tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)


def format_of(path: str, declared: Format | None = None) -> Format:
    """Returns the format of a file: the declared one, or what its suffix says, or else Parquet."""
    if declared is not None:
        return declared
    return next((f for f, suffixes in SUFFIXES.items() if path.endswith(suffixes)), "parquet")


def read_schema(declared: Format | None, filesystem: pafs.FileSystem, path: str) -> pa.Schema:
    """Returns a file's schema from its footer, its header line or its first block.

    Raises:
        BraidError: The file is not of the declared format.
    """
    format_ = format_of(path, declared)
    with _reading(format_, path):
        schema = _schema(format_, filesystem, path)
        _ = schema.names  # which fails if one is no UTF-8
        return schema


def _schema(format_: str, filesystem: pafs.FileSystem, path: str) -> pa.Schema:
    if format_ == "parquet":
        with filesystem.open_input_file(path) as file:
            return pq.read_schema(file)
    if format_ == "arrow":
        with filesystem.open_input_file(path) as file:
            return paipc.open_file(file).schema
    if format_ == "csv":
        with filesystem.open_input_stream(path) as stream:
            names = pacsv.open_csv(stream, parse_options=_csv(filesystem, path)).schema.names
        return pa.schema([(name, pa.string()) for name in names])
    return _json_schema(filesystem, path)


def pieces(
    declared: Format | None, filesystem: pafs.FileSystem, path: str, size: int
) -> Iterator[Piece]:
    """Yields the parts of a file that different workers can read at the same time."""
    format_ = format_of(path, declared)
    with _reading(format_, path):
        if format_ == "parquet":
            with filesystem.open_input_file(path) as file:
                footer = pq.read_metadata(file)
            for index in range(footer.num_row_groups):
                group = footer.row_group(index)
                if group.num_rows:
                    yield Piece(path, index, group.num_rows, group.total_byte_size)
        elif format_ == "arrow":
            with filesystem.open_input_file(path) as file:
                count = paipc.open_file(file).num_record_batches
            for index in range(count):
                yield Piece(path, index, None, size // count)
        else:
            yield Piece(path, None, None, size)


def first_rows(
    declared: Format | None, filesystem: pafs.FileSystem, path: str
) -> Callable[[Piece], int]:
    """Returns what tells how many rows of a file come before one of its pieces."""
    format_ = format_of(path, declared)
    with _reading(format_, path):
        if format_ not in ("parquet", "arrow"):
            return lambda _: 0
        with filesystem.open_input_file(path) as file:
            counts = _group_rows(file) if format_ == "parquet" else _batch_rows(file)
    return lambda piece: sum(counts[: piece.index])


def _group_rows(file: pa.NativeFile) -> list[int]:
    footer = pq.read_metadata(file)
    return [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]


def _batch_rows(file: pa.NativeFile) -> list[int]:
    # One column is enough, as only the batches themselves say how long they are.
    batches = paipc.open_file(file, options=paipc.IpcReadOptions(included_fields=[0]))
    return [batches.get_batch(index).num_rows for index in range(batches.num_record_batches)]


def read_piece(
    declared: Format | None,
    filesystem: pafs.FileSystem,
    piece: Piece,
    columns: list[str],
    batch_rows: int,
    *,
    numbers: Collection[str] = (),
    start: int = 0,
    stop: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a piece, `batch_rows` at a time, in the order of the file.

    Columns come in their plain layouts. CSV columns come as text: a zip code stays what it is, and
    a number is parsed where a bad one can be named.

    Args:
        declared: The source's format, if it says one.
        filesystem: Where the file is.
        piece: What to read.
        columns: What to read of it.
        batch_rows: At most so many rows at a time.
        numbers: Columns that are declared as numbers, where JSON may mix whole ones and fractions.
        start: The first row to read; other than 0 only where the piece knows its rows.
        stop: The row after the last one; None reads to the end.

    Raises:
        BraidError: The file is not of the format, or lacks a column.
    """
    format_ = format_of(piece.path, declared)
    request = _Request(filesystem, piece, columns, batch_rows, numbers, start, stop)
    with _reading(format_, piece.path):
        for batch in map(plain_batch, _READERS[format_](request)):
            for first in range(0, batch.num_rows, batch_rows):
                yield batch.slice(first, batch_rows)


@dataclass(frozen=True)
class _Request:
    """The arguments of `read_piece`."""

    filesystem: pafs.FileSystem
    piece: Piece
    columns: list[str]
    batch_rows: int
    numbers: Collection[str]
    start: int
    stop: int | None

    def bytes(self) -> int:
        """Returns about how much the rows to read take in a file that tells its number of rows."""
        rows = self.piece.rows or 1
        stop = rows if self.stop is None else self.stop
        return self.piece.bytes * (stop - self.start) // rows

    def between(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yields what the piece's batches have of the rows to read."""
        position = 0
        for batch in batches:
            first = max(self.start - position, 0)
            last = batch.num_rows if self.stop is None else self.stop - position
            position += batch.num_rows
            if first < batch.num_rows:
                yield batch.slice(first, last - first)
            if self.stop is not None and position >= self.stop:
                return


def _read_parquet(request: _Request) -> Iterator[pa.RecordBatch]:
    # A bucket gives much in few requests. A local file need not be in memory as a whole.
    local = isinstance(request.filesystem, pafs.LocalFileSystem)
    buffering = {"pre_buffer": not local, "buffer_size": _BUFFER_BYTES if local else 0}
    with request.filesystem.open_input_file(request.piece.path) as file:
        parquet = pq.ParquetFile(file, **buffering)
        for name in request.columns:
            _ = parquet.schema_arrow.field(name)  # else one that is not there would be left out
        if local and request.bytes() < len(request.columns) * _READER_BYTES:
            yield from _read_by_column(parquet, request)
        else:
            yield from _parquet_rows(parquet, request, request.columns, request.batch_rows)


def _read_by_column(parquet: pq.ParquetFile, request: _Request) -> Iterator[pa.RecordBatch]:
    """Reads one column after the other, where all rows take less memory than all readers."""
    columns = {}
    for name in request.columns:
        batches = _parquet_rows(parquet, request, [name], _COLUMN_ROWS)
        chunks = [batch.column(0) for batch in batches]
        columns[name] = pa.chunked_array(chunks).combine_chunks()  # frees the rows around them
    yield from pa.table(columns).to_batches()


def _parquet_rows(
    parquet: pq.ParquetFile, request: _Request, columns: list[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    return request.between(
        parquet.iter_batches(
            batch_rows,
            row_groups=[request.piece.index],
            columns=columns,
            use_threads=False,  # every core has a worker that reads
        )
    )


def _read_arrow(request: _Request) -> Iterator[pa.RecordBatch]:
    with request.filesystem.open_input_file(request.piece.path) as file:
        batch = paipc.open_file(file).get_batch(request.piece.index).select(request.columns)
        _refuse_torn(batch)
        yield batch


def _refuse_torn(batch: pa.RecordBatch) -> None:
    """Raises ArrowInvalid if values lie beyond their buffers: Arrow takes a file's word for it.

    Texts that are no UTF-8 are not refused here: their rows are rejected one by one.
    """
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise


def _read_csv(request: _Request) -> Iterator[pa.RecordBatch]:
    convert = pacsv.ConvertOptions(
        column_types={column: pa.string() for column in request.columns},
        include_columns=request.columns,
        strings_can_be_null=True,
        null_values=[""],  # "NA" is a country; what means "no number" is for numbers to say
        check_utf8=False,  # which would cost the file instead of the row
    )
    options = _csv(request.filesystem, request.piece.path)
    with request.filesystem.open_input_stream(request.piece.path) as stream:
        yield from pacsv.open_csv(stream, parse_options=options, convert_options=convert)


def _csv(filesystem: pafs.FileSystem, path: str) -> pacsv.ParseOptions:
    with filesystem.open_input_stream(path) as stream:
        octets = stream.read(_SEEN_BYTES + 1)
    text = octets[:_SEEN_BYTES].decode("utf-8-sig", errors="replace")
    delimiter = _delimiter(text, is_cut=len(octets) > _SEEN_BYTES)
    return pacsv.ParseOptions(newlines_in_values=True, delimiter=delimiter)


def _delimiter(text: str, *, is_cut: bool) -> str:
    """Returns what stands between the fields of a CSV file, by its first lines.

    It is a comma, unless the rows have some other delimiter alike and no comma alike.
    """
    for delimiter in _DELIMITERS:
        widths = _widths(text, delimiter, is_cut=is_cut)
        if min(widths, default=0) > 1 and len(set(widths)) == 1:
            return delimiter
    return ","


def _widths(text: str, delimiter: str, *, is_cut: bool) -> list[int]:
    """Returns how many fields each of the first whole rows has."""
    rows = filter(None, csv.reader(io.StringIO(text, newline=None), delimiter=delimiter))
    widths: list[int] = []
    try:
        widths.extend(len(row) for row in islice(rows, _SEEN_ROWS + 1))
    except csv.Error:  # a field that is longer than Python takes: the rows before it are whole
        return widths
    return widths[:-1] if is_cut or len(widths) > _SEEN_ROWS else widths


def _read_jsonl(request: _Request) -> Iterator[pa.RecordBatch]:
    seen = _json_schema(request.filesystem, request.piece.path)
    fields = [seen.field(name) for name in request.columns]
    wanted = [f.with_type(_as_number(f.type)) if f.name in request.numbers else f for f in fields]
    options = pajson.ParseOptions(
        explicit_schema=pa.schema(wanted), unexpected_field_behavior="ignore"
    )
    with request.filesystem.open_input_stream(request.piece.path) as stream:
        for batch in pajson.open_json(stream, parse_options=options):
            yield batch.select(request.columns)


def _json_schema(filesystem: pafs.FileSystem, path: str) -> pa.Schema:
    """Returns the types of the first block; a text that looks like a time stays a text."""
    with filesystem.open_input_stream(path) as stream:
        first = pajson.open_json(stream).schema
    return pa.schema([field.with_type(_widened(field.type)) for field in first])


def _as_number(type_: pa.DataType) -> pa.DataType:
    """A whole number may be followed by a fraction in a later block."""
    if pat.is_list(type_):
        return pa.list_(_as_number(type_.value_type))
    return pa.float64() if pat.is_integer(type_) else type_


def _widened(type_: pa.DataType) -> pa.DataType:
    if pat.is_list(type_):
        return pa.list_(_widened(type_.value_type))
    if pat.is_temporal(type_) or pat.is_null(type_):
        return pa.string()
    return type_


_READERS: dict[str, Callable[[_Request], Iterator[pa.RecordBatch]]] = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "arrow": _read_arrow,
}


_SHOWN_ROW = re.compile(r"(Expected \d+ columns, got \d+): .*")


@contextmanager
def _reading(format_: str, path: str) -> Iterator[None]:
    """Turns what pyarrow says about a bad file into an error that names the file."""
    try:
        yield
    except KeyError as error:
        raise BraidError(
            path,
            expected="every column that the other files have",
            received=" ".join(str(error.args[0]).split()),
            action="Write all files with the same columns, or remove the file.",
        ) from None
    except (
        pa.ArrowInvalid,
        pa.ArrowNotImplementedError,
        OSError,
        UnicodeDecodeError,  # of a column's name
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            received = error.strerror or str(error)
        else:
            # Arrow may show the whole row, which may be one that nobody is to read.
            received = _SHOWN_ROW.sub(r"\1", " ".join(str(error).split()))
        raise BraidError(
            path,
            expected=f"a whole {_TITLES[format_]} file",
            received=received[:300],
            action="Replace or remove the file, or correct source.format, and run again.",
        ) from None
