"""The names, the columns and the needs of the windows of a long table.

`cutting.py` cuts them. Nothing here reads a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pat

from transforms.columns.schema import check_column, is_label, is_text
from transforms.columns.splits import time_bounds
from transforms.contract.columns.features import Image, Numeric
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.source import ROW_COLUMN, WINDOW_SPLIT_COLUMN, WindowsSpec
from transforms.contract.declaration.split import TimeSplit
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import fingerprint
from transforms.contract.workspace.partition import Partition

# Raised whenever the same declaration and rows would give other windows than before.
_VERSION = 1

_NUMBERS = pa.list_(pa.float32())


def windows_of(pipeline: PipelineSpec) -> WindowsSpec:
    """Returns the declared windows of a pipeline that has some."""
    if pipeline.source.windows is None:
        raise ValueError(f"{pipeline.name} declares no windows")
    return pipeline.source.windows


def windows_partition(pipeline: PipelineSpec, partitions: Sequence[Partition]) -> Partition:
    """Returns what the windows of a table are to a run: one partition, named by its content.

    The fingerprint is known before the windows are cut, so that nothing is cut to find that
    nothing is new. The files are those of the long table.
    """
    content = {
        "version": _VERSION,
        "key": pipeline.source.key or ROW_COLUMN,
        "windows": windows_of(pipeline).model_dump(mode="json"),
        "split": pipeline.split.model_dump(mode="json"),
        "rows": [[part.name, part.fingerprint] for part in partitions],
    }
    files = tuple(file for part in partitions for file in part.files)
    return Partition(name="all", value=None, fingerprint=fingerprint(content), files=files)


def time_type(split: TimeSplit, type_: pa.DataType) -> pa.DataType:
    """Returns the type that times are compared in; text spells numbers if the bounds are some."""
    if pat.is_dictionary(type_):
        return time_type(split, type_.value_type)
    if not is_text(type_):
        return type_
    return pa.timestamp("us") if isinstance(split.validation_from, str) else pa.float64()


def window_schema(pipeline: PipelineSpec, schema: pa.Schema, *, labelled: bool = True) -> pa.Schema:
    """Returns the columns of the windows' table.

    Args:
        pipeline: The declaration.
        schema: The long table's columns.
        labelled: Whether the windows have next steps and a split.
    """
    windows = windows_of(pipeline)
    fields = [pa.field(name, pa.large_string()) for name in pipeline.source.name_columns]
    fields += [pa.field(name, _NUMBERS) for name in windows.values]
    fields += [schema.field(name) for name in windows.keep]
    if labelled:
        lists = {f"{name}_next" for name in windows.values}
        fields += [
            pa.field(name, _NUMBERS if name in lists else pa.float32())
            for name in windows.next_columns()
        ]
        fields.append(pa.field(WINDOW_SPLIT_COLUMN, pa.string()))
    return pa.schema(fields)


def check_long_table(
    pipeline: PipelineSpec, schema: pa.Schema, path: str, *, labelled: bool = True
) -> None:
    """Holds the declared windows against the long table's columns.

    Raises:
        BraidError: A column is not there, or of a type that its part in the windows cannot have.
    """
    windows, split = windows_of(pipeline), pipeline.split
    places = {"time": (windows.time,), "values": windows.values, "keep": windows.keep}
    places["entity"] = (windows.entity,) if windows.entity else ()
    for place, names in places.items():
        for name in names:
            if name not in schema.names:
                raise BraidError(
                    f"source.windows.{place}, in {path}",
                    expected=f"a column '{name}'",
                    received=f"the columns {', '.join(schema.names)}",
                    action="Name an existing column, or correct the table.",
                )
    where = f"column '{windows.time}' of {path}"
    type_ = schema.field(windows.time).type
    if not _orders(type_):
        raise _wrong_type(f"source.windows.time, {where}", "dates, times, numbers or text", type_)
    if labelled and isinstance(split, TimeSplit):
        time_bounds(split, time_type(split, type_))
    if windows.entity and not is_label(schema.field(windows.entity).type):
        where = f"source.windows.entity, column '{windows.entity}' of {path}"
        raise _wrong_type(where, "strings or whole numbers", schema.field(windows.entity).type)
    for name in windows.values:
        where = f"source.windows.values, column '{name}' of {path}"
        check_column(where, Numeric(kind="numeric"), schema.field(name).type)
    _refuse_paths(pipeline, schema, path)


def _orders(type_: pa.DataType) -> bool:
    if pat.is_dictionary(type_):
        return _orders(type_.value_type)
    numbers = pat.is_integer(type_) or pat.is_floating(type_)
    return bool(numbers or pat.is_date(type_) or pat.is_timestamp(type_) or is_text(type_))


def _refuse_paths(pipeline: PipelineSpec, schema: pa.Schema, path: str) -> None:
    """A path in the table starts from the table's folder, which the windows' table is not in."""
    for name, raw in pipeline.raw_features().items():
        column = raw.columns[0]
        is_path = column in schema.names and is_text(schema.field(column).type)
        if isinstance(pipeline.features[name], Image) and is_path:
            place = f"features.{name}, column '{column}' of {path}"
            type_ = schema.field(column).type
            raise _wrong_type(place, "picture bytes, as paths are lost with windows", type_)


def _wrong_type(place: str, expected: str, type_: pa.DataType) -> BraidError:
    return BraidError(
        place,
        expected=f"a column of {expected}",
        received=f"type {type_}",
        action="Name another column, or convert this one.",
    )
