"""From the JSON values of a request to columns as a table has them, with every unusable row named.

Every value is converted by itself, so that what a row becomes does not depend on the rows of other
requests that share its batch.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from flows.serving.limits import RequestError
from transforms.columns.schema import column_names
from transforms.columns.texts import NOT_UTF8
from transforms.contract.columns.features import RawColumn
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.reading.batches import RawBatch, Reject
from transforms.reading.unlabelled import row_reader

_NOT_AN_OBJECT = "not_an_object"
_UNKNOWN = "not_a_column_of_the_model"
_NOT_BASE64 = "not_base64"
_NOT_A_TEXT = "not_a_text"
_NOT_A_NUMBER = "not_a_number"
_NOT_A_LIST = "not_a_list"
BASE64_KEY = "b64"
_SERIES_DIMENSIONS = 2

Convert = Callable[[Any], Any]


class _UnusableError(Exception):
    """A value that no table could have in its column; the message is the reason."""


@dataclass
class Rows:
    """Rows of a request.

    Attributes:
        count: How many.
        columns: A value for each row, by source column; None is a missing one. Those of the key are
            among them, if the model does not take them, for a log alone.
        errors: Of rows that make no sense the column and the reason, by their place.
    """

    count: int
    columns: dict[str, list[Any]]
    errors: dict[int, tuple[str, str]] = field(default_factory=dict)

    def at(self, places: Sequence[int]) -> Rows:
        """Returns the rows at some places, counted from the first of these."""
        columns = {n: [values[place] for place in places] for n, values in self.columns.items()}
        errors = {new: self.errors[old] for new, old in enumerate(places) if old in self.errors}
        return Rows(len(places), columns, errors)


class RowReader:
    """Reads the rows of requests as `braid predict` reads those of a table.

    Args:
        pipeline: The declaration that the model was trained with.
        most_rows: Of a request; more are refused before anything is made of them.

    Attributes:
        raws: What the model takes, by source column; of several inputs that read a column, the
            last.
    """

    def __init__(self, pipeline: PipelineSpec, most_rows: int) -> None:
        self._most_rows = most_rows
        self._reader = row_reader(pipeline)
        self.raws: dict[str, RawColumn] = {}
        of_column: dict[str, list[RawColumn]] = {}
        for raw in pipeline.raw_features().values():
            for column in raw.columns:
                of_column.setdefault(column, []).append(raw)
                self.raws[column] = raw
        self._columns = {name: _Column(raws) for name, raws in of_column.items()}
        # What a table has beside the model's columns may be sent along.
        self._ignored = {name for _, name in column_names(pipeline)} - set(self._columns)
        self._key = tuple(n for n in pipeline.source.key_columns if n not in self._columns)

    def of_instances(self, instances: Sequence[Any]) -> Rows:
        """Returns rows that came one by one, each an object of its values by column.

        Raises:
            RequestError: They are too many.
        """
        self._refuse_more(len(instances))
        rows = self._blank(len(instances))
        for row, instance in enumerate(instances):
            if not isinstance(instance, dict):
                rows.errors[row] = ("instances", _NOT_AN_OBJECT)
                continue
            for name, value in instance.items():
                column = self._columns.get(name)
                if column is not None:
                    self._put(rows, name, column, row, value)
                elif name in self._key:
                    rows.columns[name][row] = _part_of_key(value)
                elif name not in self._ignored:
                    rows.errors.setdefault(row, (name, _UNKNOWN))
        return rows

    def of_columns(self, columns: Mapping[str, Sequence[Any]]) -> Rows:
        """Returns rows that came as columns, a value for each row.

        Raises:
            RequestError: A column is none of the model's, columns differ in their length, or the
                rows are too many.
        """
        for name in columns:
            if name not in self._columns and name not in self._ignored:
                raise RequestError(400, f"{name}: {_UNKNOWN}; it takes {', '.join(self._columns)}")
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) != 1:
            raise RequestError(400, f"columns of one length are expected, received {lengths}")
        count = next(iter(lengths.values()))
        self._refuse_more(count)
        rows = self._blank(count)
        for name, values in columns.items():
            if name in self._columns:
                for row, value in enumerate(values):
                    self._put(rows, name, self._columns[name], row, value)
            elif name in self._key:
                rows.columns[name] = [_part_of_key(value) for value in values]
        return rows

    def batch(self, parts: Sequence[Rows]) -> RawBatch:
        """Returns the rows of several requests, one after the other, as the model takes them."""
        batch = self._reader.conform_columns(self.table(parts), sum(part.count for part in parts))
        start = 0
        for part in parts:
            for row, (column, reason) in part.errors.items():
                batch.refused[start + row] = Reject("", "", column, reason, b"")
            start += part.count
        return batch

    def table(self, parts: Sequence[Rows]) -> dict[str, pa.Array]:
        """Returns the rows of several requests as the columns of a table that the model reads."""
        return {
            name: column.array([value for part in parts for value in part.columns[name]])
            for name, column in self._columns.items()
        }

    def key(self, parts: Sequence[Rows]) -> dict[str, pa.Array]:
        """Returns the columns of the key that the model does not take, as far as they were sent."""
        return {
            name: pa.array([v for part in parts for v in part.columns[name]], pa.large_string())
            for name in self._key
        }

    def _blank(self, count: int) -> Rows:
        return Rows(count, {name: [None] * count for name in (*self._columns, *self._key)})

    def _refuse_more(self, count: int) -> None:
        if count > self._most_rows:
            raise RequestError(413, f"at most {self._most_rows} rows are taken in a request")

    def _put(self, rows: Rows, name: str, column: _Column, row: int, value: Any) -> None:
        try:
            rows.columns[name][row] = None if value is None else column.convert(value)
        except _UnusableError as error:
            rows.columns[name][row] = None
            rows.errors.setdefault(row, (name, str(error)))


class _Column:
    """A source column: how its values are converted, and of which Arrow type it is.

    Args:
        raws: The model's inputs that read it.
    """

    def __init__(self, raws: Sequence[RawColumn]) -> None:
        dtypes = {raw.dtype for raw in raws}
        self.convert: Convert = _text
        self._type: pa.DataType = pa.large_string()
        self._is_number = False
        if "bytes" in dtypes:
            self.convert, self._type = _bytes, pa.large_binary()
        elif dtypes == {"float32"}:
            self.convert, self._type = _number, pa.float64()
            self._is_number = True
        shapes = [raw.shape for raw in raws if raw.shape]
        if not shapes:
            return
        self._is_number = False
        entry = self.convert
        if "float32" in dtypes:
            entry, self._type = _entry_number, pa.float64()
        if len(shapes[0]) == _SERIES_DIMENSIONS and all(len(raw.columns) == 1 for raw in raws):
            self.convert, self._type = _steps, pa.list_(pa.list_(pa.float64()))
        else:
            self.convert, self._type = _list_of(entry), pa.list_(self._type)

    def array(self, values: list[Any]) -> pa.Array:
        """Returns the column of values that were converted, with None for missing ones."""
        if self._is_number and any(isinstance(value, str) for value in values):
            # Of numbers and texts that spell them, texts: they spell the very same numbers.
            texts = [_spelt(v) if isinstance(v, float) else v for v in values]
            return pa.array(texts, pa.large_string())
        return pa.array(values, self._type)


def _spelt(number: float) -> str:
    """Returns a number as a table of whole numbers spells it, so that keys stay what they are."""
    return str(int(number)) if number.is_integer() else repr(number)


def _text(value: Any) -> str:
    """Returns a label or text as a table's column has it: yes or no and numbers are spelt."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _spelt(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        try:
            return _bytes(value).decode()
        except UnicodeDecodeError:
            raise _UnusableError(NOT_UTF8) from None
    raise _UnusableError(_NOT_A_TEXT)


def _part_of_key(value: Any) -> str | None:
    """Returns a part of a key as a table's column has it; what is none costs no row its answer."""
    try:
        return None if value is None else _text(value)
    except _UnusableError:
        return None


def _bytes(value: Any) -> bytes:
    encoded = value.get(BASE64_KEY) if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(encoded, str):
        raise _UnusableError(_NOT_BASE64)
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _UnusableError(_NOT_BASE64) from None


def _number(value: Any) -> float | str:
    """Returns a number, or the text that may spell one, which is for the reader to say."""
    return value if isinstance(value, str) else _entry_number(value)


def _entry_number(value: Any) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    raise _UnusableError(_NOT_A_NUMBER)


def _list_of(convert: Convert) -> Convert:
    def converted(values: Any) -> list[Any]:
        if not isinstance(values, list):
            raise _UnusableError(_NOT_A_LIST)
        return [None if value is None else convert(value) for value in values]

    return converted


def _steps(values: Any) -> list[Any]:
    """Returns steps as lists of numbers; a step that is a number has one channel."""
    if not isinstance(values, list):
        raise _UnusableError(_NOT_A_LIST)
    of_step = _list_of(_entry_number)
    return [None if v is None else of_step(v if isinstance(v, list) else [v]) for v in values]
