"""Parquet, CSV, JSON lines and Arrow IPC: their schemas, their parts, and batches of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.fs as pafs
import pyarrow.ipc as paipc
import pyarrow.json as pajson
import pyarrow.parquet as pq

from transforms.contract.errors import BraidError
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.source import Format

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".csv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".json", ".jsonl.gz"),
    "arrow": (".arrow", ".feather", ".ipc"),
}
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


def read_schema(pipeline: PipelineSpec, filesystem: pafs.FileSystem, path: str) -> pa.Schema:
    """Returns a file's schema from its footer, its header line or its first block.

    Raises:
        BraidError: The file is not of the declared format.
    """
    format_ = pipeline.source.format
    with _reading(format_, path):
        if format_ == "parquet":
            with filesystem.open_input_file(path) as file:
                return pq.read_schema(file)
        if format_ == "arrow":
            with filesystem.open_input_file(path) as file:
                return paipc.open_file(file).schema
        if format_ == "csv":
            with filesystem.open_input_stream(path) as stream:
                return pacsv.open_csv(stream).schema
        with filesystem.open_input_stream(path) as stream:
            return pajson.open_json(stream).schema


def pieces(format_: str, filesystem: pafs.FileSystem, path: str, size: int) -> Iterator[Piece]:
    """Yields the parts of a file that different workers can read at the same time."""
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


def read_piece(
    format_: str, filesystem: pafs.FileSystem, piece: Piece, columns: list[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a piece, `batch_rows` at a time, in the order of the file.

    Only the given columns are read. CSV columns come as text: a zip code stays what it is, and a
    number is parsed where a bad one can be named.
    """
    reader: Callable[..., Iterator[pa.RecordBatch]] = _READERS[format_]
    with _reading(format_, piece.path):
        for batch in reader(filesystem, piece, columns, batch_rows):
            for start in range(0, batch.num_rows, batch_rows):
                yield batch.slice(start, batch_rows)


def _read_parquet(
    filesystem: pafs.FileSystem, piece: Piece, columns: list[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    with filesystem.open_input_file(piece.path) as file:
        reader = pq.ParquetFile(file)
        yield from reader.iter_batches(batch_rows, row_groups=[piece.index], columns=columns)


def _read_arrow(
    filesystem: pafs.FileSystem, piece: Piece, columns: list[str], _batch_rows: int
) -> Iterator[pa.RecordBatch]:
    with filesystem.open_input_file(piece.path) as file:
        yield paipc.open_file(file).get_batch(piece.index).select(columns)


def _read_csv(
    filesystem: pafs.FileSystem, piece: Piece, columns: list[str], _batch_rows: int
) -> Iterator[pa.RecordBatch]:
    convert = pacsv.ConvertOptions(
        column_types={column: pa.string() for column in columns},
        include_columns=columns,
        strings_can_be_null=True,
        null_values=[""],  # "NA" is a country; what means "no number" is for numbers to say
    )
    with filesystem.open_input_stream(piece.path) as stream:
        yield from pacsv.open_csv(stream, convert_options=convert)


def _read_jsonl(
    filesystem: pafs.FileSystem, piece: Piece, columns: list[str], _batch_rows: int
) -> Iterator[pa.RecordBatch]:
    with filesystem.open_input_stream(piece.path) as stream:
        for batch in pajson.open_json(stream):
            yield batch.select(columns)


_READERS = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "arrow": _read_arrow,
}


@contextmanager
def _reading(format_: str, path: str) -> Iterator[None]:
    """Turns what pyarrow says about a bad file into an error that names the file."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            received = error.strerror or str(error)
        else:
            received = " ".join(str(error).split())
        raise BraidError(
            path,
            expected=f"a whole {_TITLES[format_]} file",
            received=received[:300],
            action="Replace or remove the file, or correct source.format, and run again.",
        ) from None
