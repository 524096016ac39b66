"""From a source column, of whatever Arrow type, to what the transform graph takes.

A missing value becomes NaN or the empty string. An invalid value becomes a missing one and is
listed, so that the row can be rejected with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.schema import is_bytes, is_datetime, is_list, is_text
from transforms.contract.columns.features import RawColumn
from transforms.contract.columns.numbers import MISSING_NUMBERS, number_in

_NO_NUMBER = pa.array(MISSING_NUMBERS)
_NULL = -1  # the number of steps of no list at all


@dataclass
class Conformed:
    """One column of a batch as the graph takes it.

    Attributes:
        values: float32 or bytes objects, [rows] or [rows, *shape]; what a list lacks is missing.
        missing: True where the source had no value, bool [rows].
        invalid: The reason by row, for values that were there and cannot be used.
    """

    values: np.ndarray
    missing: np.ndarray
    invalid: dict[int, str] = field(default_factory=dict)


def blank_column(raw: RawColumn, rows: int) -> np.ndarray:
    """Returns missing values as the graph takes them, [rows, *raw.shape]."""
    blank, dtype = (np.nan, np.float32) if raw.dtype == "float32" else (b"", object)
    return np.full((rows, *raw.shape), blank, dtype)


def conform(raw: RawColumn, *columns: pa.Array) -> Conformed:
    """Converts a column for the graph.

    Args:
        raw: What the graph takes. Columns of kind "image" that hold paths are to be read first.
        *columns: The source columns, as `raw.columns` names them: one, or one a channel.
    """
    if len(raw.shape) == 2:
        return _series(raw, columns)
    column = decoded(columns[0])
    if raw.dtype == "float32":
        return _vectors(column, raw.shape[0]) if raw.shape else _numbers(column)
    return _lists(column, raw.shape[0]) if raw.shape else _strings(column)


def decoded(column: pa.Array) -> pa.Array:
    """Returns a column with the values that a dictionary stands for, [rows]."""
    if not isinstance(column, pa.DictionaryArray):
        return column
    values = column.dictionary
    if pat.is_string_view(values.type):  # which Arrow cannot take by index
        values = values.cast(pa.large_string())
    return values.take(column.indices)


def _strings(column: pa.Array) -> Conformed:
    if pat.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if is_datetime(column.type):
        column = iso_texts(column)
    # A call of Arrow's costs as much for one row as for hundreds: a lone row has as few as can be.
    if not is_bytes(column.type) and not pat.is_large_string(column.type):
        column = column.cast(pa.large_string())
    if pat.is_large_string(column.type):
        column = column.view(pa.large_binary())
    elif not pat.is_large_binary(column.type):
        column = column.cast(pa.large_binary())
    if column.null_count:
        column = column.fill_null(b"")
    values = column.to_numpy(zero_copy_only=False)
    return Conformed(values, values == b"")


def iso_texts(times: pa.Array) -> pa.Array:
    """Returns dates as texts, and timestamps likewise in UTC and to their unit.

    So "2026-01-31", or "2026-01-31 05:00:00.123". What is in no year from 1 to 9999 becomes a text
    that is no such date.
    """
    if pat.is_timestamp(times.type):  # what is kept is UTC; a zone only says how to show it
        times = times.view(pa.timestamp(times.type.unit))
    return times.cast(pa.large_string())


def _lists(column: pa.Array, length: int) -> Conformed:
    """Takes the first `length` values of every list; nulls and empty texts do not count."""
    if pat.is_null(column.type):
        column = column.cast(pa.list_(pa.string()))
    entries = _strings(decoded(pc.list_flatten(column)))
    texts = entries.values[~entries.missing]
    rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)[~entries.missing]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)  # since the row's first value
    kept = places < length
    values = np.full((len(column), length), b"", object)
    values[rows[kept], places[kept]] = texts[kept]
    return Conformed(values, np.bincount(rows, minlength=len(column)) == 0)


def _numbers(column: pa.Array) -> Conformed:
    invalid: dict[int, str] = {}
    if is_text(column.type):
        column, invalid = parse_numbers(column)
    if not pat.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    values = column.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # a double that float32 cannot hold becomes infinite
        values = values.astype(np.float32)
    missing = np.isnan(values)
    finite = np.isfinite(values)
    if finite.all():
        return Conformed(values, missing, invalid)
    missing[list(invalid)] = False
    infinite = np.flatnonzero(np.isinf(values))
    invalid |= {int(row): "not_finite" for row in infinite}
    values[infinite] = np.nan
    return Conformed(values, missing, invalid)


def parse_numbers(column: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Parses a text column, as float64; a text that is no number is listed and becomes null.

    What is a number is for `number_in` to say. Arrow, which is quick, reads no more than that but
    for a few spellings of NaN.

    Args:
        column: Texts of any of Arrow's types, all of them UTF-8.
    """
    column = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    column = pc.if_else(pc.is_in(pc.utf8_lower(column), _NO_NUMBER), None, column)
    try:
        parsed = column.cast(pa.float64())
        if not pc.any(pc.is_nan(parsed)).as_py():
            return parsed, {}
    except pa.ArrowInvalid:
        pass
    numbers: list[float | None] = []
    invalid = {}
    for row, text in enumerate(column.to_pylist()):
        try:
            numbers.append(None if text is None else number_in(text))
        except ValueError:
            numbers.append(None)
            invalid[row] = "not_a_number"
    return pa.array(numbers, pa.float64()), invalid


def _vectors(column: pa.Array, length: int) -> Conformed:
    if pat.is_null(column.type):
        column = column.cast(pa.list_(pa.float64()))
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    missing = lengths == 0
    fits = lengths == length
    values = np.full((len(column), length), np.nan, np.float32)
    flat = column.filter(pa.array(fits)).flatten().cast(pa.float64(), safe=False)
    values[fits] = flat.to_numpy(zero_copy_only=False).reshape(-1, length)
    invalid = {int(r): f"length_is_not_{length}" for r in np.flatnonzero(~fits & ~missing)}
    for row in np.flatnonzero(fits & ~np.isfinite(values).all(axis=1)):
        invalid[int(row)] = "not_finite"
        values[row] = np.nan
    return Conformed(values, missing, invalid)


def _series(raw: RawColumn, columns: tuple[pa.Array, ...]) -> Conformed:
    """Returns lists of steps as float32 [rows, length, channels], NaN where there is no number."""
    length, channels = raw.shape
    values = np.full((len(columns[0]), length, channels), np.nan, np.float32)
    invalid: dict[int, str] = {}
    steps = np.full(len(values), _NULL)
    for index, column in enumerate(columns):
        part = values if len(columns) == 1 else values[:, :, index : index + 1]
        channel_steps, ragged = _fill(part, column)
        invalid |= dict.fromkeys(ragged, f"channels_is_not_{channels}")
        differing = (steps != _NULL) & (channel_steps != _NULL) & (channel_steps != steps)
        invalid |= dict.fromkeys(np.flatnonzero(differing).tolist(), "lengths_differ")
        steps = np.maximum(steps, channel_steps)
    if not raw.padded:
        wrong = np.flatnonzero((steps != length) & (steps > 0)).tolist()
        invalid = dict.fromkeys(wrong, f"length_is_not_{length}") | invalid
    infinite = np.flatnonzero(np.isinf(values).any(axis=(1, 2))).tolist()
    invalid = dict.fromkeys(infinite, "not_finite") | invalid
    values[list(invalid)] = np.nan
    missing = np.asarray(np.isnan(values).all(axis=(1, 2)))
    missing[list(invalid)] = False
    return Conformed(values, missing, invalid)


def _fill(values: np.ndarray, column: pa.Array) -> tuple[np.ndarray, list[int]]:
    """Writes a list column into its channels; what is beyond the last step is cut.

    Args:
        values: float32 [rows, length, channels], NaN.
        column: Lists of numbers, of one channel, or lists of steps.

    Returns:
        The steps of every row, int64 [rows], and the rows with a step of another width.
    """
    length, channels = values.shape[1:]
    if pat.is_null(column.type):
        return np.full(len(column), _NULL), []
    rows, positions, steps = _entries(column)
    flat, ragged = column.flatten(), []
    if is_list(flat.type):
        of_step, channel, widths = _entries(flat)
        wrong = (widths != channels) & flat.is_valid().to_numpy(zero_copy_only=False)
        ragged = np.unique(rows[wrong]).tolist()
        rows, positions, flat = rows[of_step], positions[of_step], flat.flatten()
    else:
        channel = np.zeros(len(rows), np.int64)
    numbers = flat.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    kept = (positions < length) & (channel < channels)
    with np.errstate(over="ignore"):  # a double that float32 cannot hold becomes infinite
        values[rows[kept], positions[kept], channel[kept]] = numbers[kept]
    steps[column.is_null().to_numpy(zero_copy_only=False)] = _NULL
    return steps, ragged


def _entries(column: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the list and the position in it of every entry, and the length of every list."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    lengths = lengths.astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    lists = np.repeat(np.arange(len(lengths)), lengths)
    return lists, np.arange(len(lists)) - starts[lists], lengths
