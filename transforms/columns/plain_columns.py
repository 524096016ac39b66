"""Plain columns: Arrow's several layouts of the same values, made one.

Arrow can take, compare and cast few of the layouts by which newer writers save memory: views,
run-end encoding, dictionaries. What the schema of a file is held against, and what is read of it,
is plain, so that no rule has to know of the others.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.schema import is_list


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Returns a schema with the plain types of its columns."""
    return pa.schema([field.with_type(plain_type(field.type)) for field in schema])


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns a batch with the plain layouts of its columns."""
    schema = plain_schema(batch.schema)
    if schema == batch.schema:
        return batch
    return pa.RecordBatch.from_arrays(list(map(plain, batch.columns)), schema=schema)


def plain_type(type_: pa.DataType) -> pa.DataType:
    """Returns the type of the same values without views, dictionaries, runs and extensions.

    A time zone that Arrow does not know is UTC, in which times are kept whatever their zone.
    """
    if isinstance(type_, pa.BaseExtensionType):
        return pa.bool_() if isinstance(type_, pa.Bool8Type) else plain_type(type_.storage_type)
    if pat.is_dictionary(type_) or pat.is_run_end_encoded(type_):
        return plain_type(type_.value_type)
    if pat.is_string_view(type_):
        return pa.large_string()
    if pat.is_binary_view(type_):
        return pa.large_binary()
    if _is_list(type_):
        return _plain_list(type_)
    if pat.is_timestamp(type_) and not _has_known_zone(type_):
        return pa.timestamp(type_.unit, "UTC")
    return type_


def plain(column: pa.Array) -> pa.Array:
    """Returns a column of the same values in the plain layout, [rows]."""
    type_ = column.type
    target = plain_type(type_)
    if target == type_:
        return column
    if isinstance(type_, pa.BaseExtensionType) and not isinstance(type_, pa.Bool8Type):
        return plain(column.storage)
    if pat.is_run_end_encoded(type_):
        rows = np.arange(column.offset, column.offset + len(column))
        runs = np.searchsorted(column.run_ends.to_numpy(), rows, side="right")
        return plain(column.values).take(pa.array(runs))
    if pat.is_dictionary(type_):
        return plain(column.dictionary).take(column.indices)
    if _is_list(type_):
        # Arrow's own cast of a part of a list view gives offsets that are none.
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
        values, nulls = plain(column.flatten()), column.is_null()
        return pa.LargeListArray.from_arrays(offsets, values, mask=nulls).cast(target)
    return column.view(target) if pat.is_timestamp(type_) else column.cast(target)


def _is_list_view(type_: pa.DataType) -> bool:
    return bool(pat.is_list_view(type_) or pat.is_large_list_view(type_))


def _is_list(type_: pa.DataType) -> bool:
    return bool(is_list(type_) or _is_list_view(type_))


def _plain_list(type_: pa.DataType) -> pa.DataType:
    value = plain_type(type_.value_type)
    if value == type_.value_type and not _is_list_view(type_):
        return type_
    is_large = pat.is_large_list(type_) or pat.is_large_list_view(type_)
    return pa.large_list(value) if is_large else pa.list_(value)


def _has_known_zone(type_: pa.DataType) -> bool:
    try:
        pa.scalar(0, type_).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
