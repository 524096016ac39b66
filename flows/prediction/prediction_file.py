"""The file of predictions: a row for every row, in Parquet or CSV, written as they come."""

from __future__ import annotations

import fnmatch
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from PIL import Image

from transforms.columns.hashing import key_parts
from transforms.contract.columns.targets import ImageTarget
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.checks import ERROR_COLUMN
from transforms.contract.declaration.source import SourceSpec
from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.manifest import PROBABILITIES_SUFFIX
from transforms.source.formats import suffixes_of

_SEPARATOR = "|"  # of several labels in one field of a CSV file
_OUTPUT_FORMATS = (".parquet", ".csv")
PICTURE_DIMENSIONS = 4  # rows, height, width, channels

Columns = dict[str, np.ndarray]


@dataclass
class Predictions:
    """The predictions of some rows.

    Attributes:
        columns: A value for each row that was scored, by output.
        rows: Which rows these are, int64 [scored], rising.
        errors: Why training would reject a row, or why it cannot be scored, by its position.
    """

    columns: Columns
    rows: np.ndarray
    errors: dict[int, str] = field(default_factory=dict)

    def at(self, places: Sequence[int]) -> Predictions:
        """Returns copies of the predictions of the rows at some places, counted from the first.

        Args:
            places: Rising.
        """
        chosen = np.flatnonzero(np.isin(self.rows, places))
        return Predictions(
            {name: values[chosen] for name, values in self.columns.items()},
            np.searchsorted(places, self.rows[chosen]),
            {new: self.errors[old] for new, old in enumerate(places) if old in self.errors},
        )


def table_place(table: str | Path) -> str:
    """Returns the whole path of a table on this machine; a URL stays as it is."""
    return str(table) if "://" in str(table) else str(Path(table).absolute())


def refuse_output(output: Path, source: str | Path, table: SourceSpec) -> None:
    """Refuses to write predictions over rows, or to where they would be read as rows.

    Args:
        output: The file to write.
        source: The rows to score: a file, a folder or a glob, by its path or its URL.
        table: The declared table.

    Raises:
        DeclarationError: The output has another format, is a folder, or is or would be one of the
            files of the rows or of the table, by whatever name or link.
    """
    if _would_read(str(source), str(output)):
        raise _other_output(output, "a file that is none of --input's", f"--input {source}")
    refuse_as_output(output, table)


def refuse_as_output(output: Path, table: SourceSpec) -> None:
    """Refuses to write a table where it would be read as rows.

    Raises:
        DeclarationError: The output has another format than CSV or Parquet, is a folder, or is or
            would be one of the files of the declared table.
    """
    if output.suffix not in _OUTPUT_FORMATS:
        raise _other_output(output, f"a name that ends in {' or '.join(_OUTPUT_FORMATS)}")
    if output.is_dir():
        raise _other_output(output, "the name of a file", "a folder")
    if output.name.endswith(suffixes_of(table.format)) and _would_read(table.path, str(output)):
        received = f"a file of source.path {table.path}"
        raise _other_output(output, "a file that no run reads as rows", received)


def refuse_pictures(output: Path, pipeline: PipelineSpec) -> None:
    """Refuses a format that has no room for the pictures of a model.

    Raises:
        DeclarationError: CSV is to take pictures.
    """
    for name, target in pipeline.targets.items():
        if isinstance(target, ImageTarget) and output.suffix != ".parquet":
            raise _other_output(
                output, f"a name that ends in .parquet, as '{name}' is a picture in every row"
            )


def refuse_output_folder(output: str, source: str, table: SourceSpec) -> None:
    """Refuses to write a folder of predictions to where they would be read as rows.

    Args:
        output: The folder, a path or a URL.
        source: The rows to score, likewise.
        table: The declared table.

    Raises:
        DeclarationError: Its parts would be among the files of the rows or of the table.
    """
    parts = [f"{output.rstrip('/')}/{part}" for part in ("part.parquet", "key=value/part.parquet")]
    if any(_would_read(source, part) for part in parts):
        raise _other_output(output, "a folder that is not read as --input", f"--input {source}")
    is_format = ".parquet" in suffixes_of(table.format)
    if is_format and any(_would_read(table.path, part) for part in parts):
        received = f"a folder in source.path {table.path}"
        raise _other_output(output, "a folder that no run reads as rows", received)


def _other_output(
    output: Path | str, expected: str, received: str | None = None
) -> DeclarationError:
    return DeclarationError(
        f"--output {output}",
        expected=expected,
        received=received or repr(Path(output).suffix),
        action="Give another name.",
    )


def _would_read(place: str, output: str) -> bool:
    """Returns whether a file is, or would be, one of a table's.

    Args:
        place: The table: a file, a folder or a glob, by its path or its URL.
        output: The file, by its path or its URL.
    """
    table, file = _url_of(place), _url_of(output)
    if file is None:
        return table is None and _is_among(Path(_local(output)), _local(place))
    if table is None or (table.scheme, table.hostname) != (file.scheme, file.hostname):
        return False
    fixed = takewhile(lambda part: "*" not in part, PurePosixPath(table.path or "/").parts)
    return PurePosixPath(file.path).is_relative_to(PurePosixPath(*fixed))


def _url_of(place: str) -> SplitResult | None:
    """Returns the URL that a place is; None of one on this machine, which `file://` is too."""
    url = urlsplit(place, allow_fragments=False) if "://" in place else None
    return None if url is None or url.scheme == "file" else url


def _local(place: str) -> str:
    """Returns the path of a place on this machine."""
    return unquote(urlsplit(place).path) if "://" in place else place


def _is_among(output: Path, place: str) -> bool:
    """Returns whether a file is, or would be, one of those under a file, a folder or a glob."""
    parts = Path(place).absolute().parts
    fixed = list(takewhile(lambda part: "*" not in part, parts))
    top = Path(*fixed).resolve()
    pattern = str(Path(top, *parts[len(fixed) :]))
    is_glob = len(fixed) < len(parts)

    def is_read(path: Path) -> bool:
        return fnmatch.fnmatch(str(path), pattern) if is_glob else path.is_relative_to(top)

    if is_read(output.resolve()):  # whether it is there or not
        return True
    if not output.exists():
        return False
    files = top.rglob("*") if top.is_dir() else iter([top])  # one may be a link to the output
    return any(path.is_file() and is_read(path) and path.samefile(output) for path in files)


class PredictionWriter:
    """Writes batches of predictions as they come.

    The first prediction tells the columns' types; until then, rows without one are held back.

    Args:
        sink: The file, or what it is written to.
        suffix: Its format, ".parquet" or ".csv".
        names: The columns that rows are named in: the key's, or one for their files and numbers.
        schema: The columns to write, where they are known before the first prediction.

    Attributes:
        rows: Rows that were added.
        scored: Those of them with a prediction.
        reasons: How many rows have which error.
    """

    def __init__(
        self,
        sink: Path | pa.NativeFile,
        suffix: str,
        names: Sequence[str],
        schema: pa.Schema | None = None,
    ) -> None:
        self.rows = 0
        self.scored = 0
        self.reasons: Counter[str] = Counter()
        self._sink = sink
        self._suffix = suffix
        self._names = names
        self._waiting: list[pa.Table] = []
        self._schema: pa.Schema | None = None
        self._file: pq.ParquetWriter | pacsv.CSVWriter | None = None
        if schema is not None:
            self._open(schema)

    def add(self, keys: np.ndarray, predictions: Predictions) -> None:
        """Writes the predictions of some rows.

        Args:
            keys: Their names as UTF-8 bytes objects, [rows]; an empty one is missing.
            predictions: What was scored of them.
        """
        self.rows += len(keys)
        self.scored += len(predictions.rows)
        self.reasons.update(predictions.errors.values())
        table = prediction_table(self._names, keys, predictions, flat=self._suffix == ".csv")
        if predictions.columns and self._schema is None:
            self._open(table.schema)
        self._waiting.append(table)
        if self._schema is not None:
            self._flush()

    def close(self) -> None:
        """Writes what is held back, and ends the file."""
        if self._waiting:
            self._open(self._waiting[0].schema)
            self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, schema: pa.Schema) -> None:
        self._schema = schema
        writer = pq.ParquetWriter if self._suffix == ".parquet" else pacsv.CSVWriter
        self._file = writer(self._sink, schema)

    def _flush(self) -> None:
        if self._schema is None or self._file is None:
            raise ValueError("the file is opened before rows are written to it")
        for table in self._waiting:
            columns = [
                table[f.name] if f.name in table.column_names else pa.nulls(table.num_rows, f.type)
                for f in self._schema
            ]
            self._file.write_table(pa.table(columns, schema=self._schema))
        self._waiting = []


def prediction_table(
    names: Sequence[str], keys: np.ndarray, predictions: Predictions, *, flat: bool = False
) -> pa.Table:
    """Returns the rows' names, predictions and errors, a row for every key.

    Args:
        names: Of the keys' columns.
        keys: UTF-8 bytes objects, [rows]; an empty one is missing.
        predictions: What was scored of them.
        flat: Whether every entry of a list is a column of its own.
    """
    count = len(keys)
    positions: list[int | None] = [None] * count
    for position, row in enumerate(predictions.rows.tolist()):
        positions[row] = position
    take = pa.array(positions, pa.int64())
    parts = key_parts(keys, len(names)) if names else ()
    columns = {
        name: pa.array([value or None for value in part], pa.string())
        for name, part in zip(names, parts, strict=True)
    }
    for name, values in predictions.columns.items():
        columns |= {column: array.take(take) for column, array in _arrays(name, values, flat=flat)}
    errors = [predictions.errors.get(row) for row in range(count)]
    columns[ERROR_COLUMN] = pa.array(errors, pa.string())
    return pa.table(columns)


def png(pixels: np.ndarray) -> bytes:
    """Returns a PNG of class ids as they are, or of values from 0 to 1 as 0 to 255, [H, W, C]."""
    if pixels.dtype.kind == "f":
        pixels = np.clip(np.round(pixels * 255), 0, 255).astype(np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(encoded, "PNG")
    return encoded.getvalue()


def _arrays(name: str, values: np.ndarray, *, flat: bool) -> Iterator[tuple[str, pa.Array]]:
    """Yields an output's columns; CSV has no lists, so there every entry is a column."""
    if values.dtype.kind in "OS":
        yield name, _texts(values, flat=flat)
    elif values.ndim == 1:
        yield name, pa.array(values)
    elif values.ndim == PICTURE_DIMENSIONS:
        # The probabilities of every class at every pixel are too much for a table.
        if not name.endswith(PROBABILITIES_SUFFIX):
            yield name, pa.array([png(pixels) for pixels in values], pa.binary())
    elif flat:
        for place in np.ndindex(values.shape[1:]):
            yield "_".join([name, *map(str, place)]), pa.array(values[:, *place])
    else:
        type_ = pa.from_numpy_dtype(values.dtype)
        for _ in values.shape[1:]:
            type_ = pa.list_(type_)
        yield name, pa.array(values.tolist(), type_)


def _texts(values: np.ndarray, *, flat: bool) -> pa.Array:
    """Returns one text a row, or the list of a row's texts without the empty ones."""
    if values.ndim == 1:
        return pa.array([str(value) for value in values], pa.string())
    lists = [[str(value) for value in row if value] for row in values]
    if flat:
        return pa.array([_SEPARATOR.join(row) for row in lists], pa.string())
    return pa.array(lists, pa.list_(pa.string()))
