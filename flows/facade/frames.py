"""Tables as users have them, to Arrow and back: pandas, Polars, and whatever speaks Arrow.

Neither pandas nor Polars is needed: a frame's own module is imported where there is a frame.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns.schema import is_list
from transforms.contract.errors import DeclarationError


@runtime_checkable
class ArrowStream(Protocol):
    """A table that gives itself as a C stream, by Arrow's PyCapsule interface.

    pandas, Polars, DuckDB, PyArrow and others have tables that do.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns a capsule with an `ArrowArrayStream` of record batches."""


class ToArrow(Protocol):
    """A table that converts itself, as those of older Polars and of Hugging Face do."""

    def to_arrow(self) -> Any:
        """Returns a `pyarrow.Table`."""


Frame = ArrowStream | ToArrow
FrameT = TypeVar("FrameT", bound=Frame)


def to_arrow(frame: Frame) -> pa.Table:
    """Returns a frame's rows as an Arrow table.

    The index of a pandas frame is a column if it has a name, and left out if not.

    Raises:
        DeclarationError: It is no frame, or a column has values of several types.
    """
    try:
        if _is_of(frame, "pandas"):
            return _from_pandas(frame)
        if isinstance(frame, ArrowStream):
            return pa.table(frame)
        return pa.table(frame.to_arrow())
    except pa.ArrowException as error:
        raise _not_a_table(frame, str(error)) from None
    except (AttributeError, TypeError):
        raise _not_a_table(frame, type(frame).__name__) from None


def like(frame: FrameT, table: pa.Table) -> FrameT:
    """Returns a table in the kind of frame that the rows came in, as Arrow if that is not known.

    Args:
        frame: The rows.
        table: What is told of them, a row for each.
    """
    made: Any = table
    if _is_of(frame, "pandas"):
        made = table.to_pandas()
        made.index = cast("Any", frame).index
    elif _is_of(frame, "polars"):
        made = sys.modules["polars"].from_arrow(table)
    return cast("FrameT", made)


def are_equal(one: pa.Table, other: pa.Table) -> bool:
    """Returns whether two tables have the same columns with equal values.

    NaN is a missing value. All types of texts are one: pandas, Polars and Arrow, and versions of
    them, have others for the same table.
    """
    return one.column_names == other.column_names and all(
        _are_alike(left, right) for left, right in zip(one.columns, other.columns, strict=True)
    )


def _are_alike(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    if is_list(one.type) and is_list(other.type):
        lengths = [pc.list_value_length(lists).cast(pa.int64()) for lists in (one, other)]
        return bool(lengths[0].equals(lengths[1])) and _are_alike(
            pc.list_flatten(one), pc.list_flatten(other)
        )
    return bool(_comparable(one).equals(_comparable(other)))


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.large_string())
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    return column


def _is_of(frame: object, library: str) -> bool:
    return type(frame).__module__.split(".")[0] == library


def _from_pandas(frame: Any) -> pa.Table:
    named = [name for name in frame.index.names if name is not None]
    return pa.Table.from_pandas(frame.reset_index(named) if named else frame, preserve_index=False)


def _not_a_table(frame: object, received: str) -> DeclarationError:
    return DeclarationError(
        f"the table, of {type(frame).__module__}",
        expected="a frame of pandas, Polars or Arrow, with one type of values in a column",
        received=received,
        action="Convert what is not, for example by `pyarrow.table(...)`.",
    )
