"""From a source column, of whatever Arrow type, to what the transform graph takes.

A missing value becomes NaN or the empty string. An invalid value becomes a missing one and is
listed, so that the row can be rejected with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.contract.errors import BraidError
from transforms.contract.features import ID_PATTERN, Categorical, Numeric, RawColumn, Sequence
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.source import HashSplit
from transforms.contract.targets import NumericTarget

TRUE_TEXTS = ("1", "1.0", "true", "True", "TRUE")
FALSE_TEXTS = ("0", "0.0", "false", "False", "FALSE")
_NO_NUMBER = pa.array(["", "na", "n/a", "nan", "null", "none"])  # texts that mean a missing number

_NULL = -1  # the number of steps of no list at all

TypeTest = Callable[[pa.DataType], Any]


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


def column_names(
    pipeline: PipelineSpec, *, features_only: bool = False
) -> Iterator[tuple[str, str]]:
    """Yields (place in the declaration, column) for every column that the pipeline reads.

    Args:
        pipeline: The declaration.
        features_only: Whether targets and the split are left out.
    """
    yield "source.key", pipeline.source.key
    for name, raw in pipeline.raw_features().items():
        for column in raw.columns:
            yield f"features.{name}", column
    if features_only:
        return
    if not isinstance(pipeline.split, HashSplit):
        yield "split.column", pipeline.split.column
    for name, raw in pipeline.raw_targets().items():
        for column in raw.columns:
            yield f"targets.{name}", column


def is_text(type_: pa.DataType) -> Any:
    """Returns whether a column holds text, of any of Arrow's text types."""
    return pat.is_string(type_) or pat.is_large_string(type_) or pat.is_string_view(type_)


def _is_bytes(type_: pa.DataType) -> Any:
    return (
        pat.is_binary(type_)
        or pat.is_large_binary(type_)
        or pat.is_fixed_size_binary(type_)
        or pat.is_binary_view(type_)
    )


def _is_number(type_: pa.DataType) -> Any:
    return pat.is_integer(type_) or pat.is_floating(type_) or pat.is_decimal(type_)


def is_label(type_: pa.DataType) -> Any:
    """Returns whether a column holds labels: texts, whole numbers, yes or no."""
    if pat.is_dictionary(type_):
        return is_label(type_.value_type)
    return is_text(type_) or pat.is_integer(type_) or pat.is_boolean(type_)


def _is_list(type_: pa.DataType) -> Any:
    return pat.is_list(type_) or pat.is_large_list(type_) or pat.is_fixed_size_list(type_)


def _is_label_list(type_: pa.DataType) -> Any:
    return _is_list(type_) and (is_label(type_.value_type) or pat.is_null(type_.value_type))


def _is_id(type_: pa.DataType) -> Any:
    return is_label(type_) and not pat.is_boolean(type_)


def _is_id_list(type_: pa.DataType) -> Any:
    return _is_label_list(type_) and not pat.is_boolean(type_.value_type)


def _accepts_number(type_: pa.DataType) -> Any:
    return _is_number(type_) or pat.is_boolean(type_) or is_text(type_) or pat.is_null(type_)


def _accepts_numbers(type_: pa.DataType) -> Any:
    return _is_list(type_) and (_is_number(type_.value_type) or pat.is_null(type_.value_type))


# kind -> (what it accepts, in words; the test). A column of nulls has no type to object to.
_ACCEPTED: dict[str, tuple[str, TypeTest]] = {
    "categorical": (
        "a string, integer or boolean column (a column of lists needs `length`)",
        is_label,
    ),
    "text": ("a string column", is_text),
    "image": ("a column of bytes or of file paths", lambda t: _is_bytes(t) or is_text(t)),
    "numeric": ("a number column, or text that spells numbers", _accepts_number),
    "binary": (
        "a boolean, number or string column",
        lambda t: is_label(t) or pat.is_floating(t),
    ),
    "multiclass": ("a string, integer or boolean column", is_label),
}


# The same for a kind of the user's own, by what its graph takes.
_ACCEPTED_AS = {
    "string": _ACCEPTED["categorical"],
    "bytes": _ACCEPTED["image"],
    "float32": _ACCEPTED["numeric"],
}


def check_column(place: str, spec: Any, type_: pa.DataType) -> None:
    """Refuses a column of a type that the kind cannot take.

    Raises:
        BraidError: With the types that it can take.
    """
    accepted, test = _ACCEPTED.get(spec.kind) or _ACCEPTED_AS[spec.raw("").dtype]
    if isinstance(spec, Categorical):
        accepted, test = _accepted_categories(spec)
    elif isinstance(spec, Sequence):
        accepted, test = _accepted_series(spec)
    elif isinstance(spec, Numeric | NumericTarget) and spec.length is not None:
        accepted, test = f"a column of lists of {spec.length} numbers", _accepts_numbers
    if not test(type_) and not pat.is_null(type_):
        raise BraidError(
            place,
            expected=f"{accepted}, for kind '{spec.kind}'",
            received=f"type {type_}",
            action="Declare another kind or column, or convert the column.",
        )


def _accepted_categories(spec: Categorical) -> tuple[str, TypeTest]:
    if spec.encoding == "identity":
        what = "integers, or texts that spell them"
        if spec.length is not None:
            return f"a column of lists of {what}", _is_id_list
        return f"a column of {what} (a column of lists needs `length`)", _is_id
    if spec.length is not None:
        return "a column of lists of strings, integers or booleans", _is_label_list
    return _ACCEPTED[spec.kind]


def _accepted_series(spec: Sequence) -> tuple[str, TypeTest]:
    """A column has the numbers of one channel, or steps that are lists of numbers."""
    of_a_channel = spec.columns is not None or spec.width == 1
    entries = "numbers" if of_a_channel else f"steps, each a list of {spec.width} numbers"

    def test(type_: pa.DataType) -> Any:
        if not _is_list(type_):
            return False
        if of_a_channel and _accepts_numbers(type_):
            return True
        return spec.columns is None and _accepts_numbers(type_.value_type)

    return f"a column of lists of {entries} (CSV has no lists; Parquet and JSON lines do)", test


def conform(raw: RawColumn, *columns: pa.Array) -> Conformed:
    """Converts a column for the graph.

    Args:
        raw: What the graph takes. Columns of kind "image" that hold paths are to be read first.
        *columns: The source columns, as `raw.columns` names them: one, or one a channel.
    """
    if len(raw.shape) == 2:
        return _series(raw, columns)
    (column,) = columns
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if raw.dtype == "float32":
        return _vectors(column, raw.shape[0]) if raw.shape else _numbers(column)
    return _lists(column, raw.shape[0]) if raw.shape else _strings(column)


def not_an_id(values: np.ndarray, buckets: int) -> dict[int, str]:
    """Returns the rows with a value that is no whole number from 0 to `buckets` - 1.

    Args:
        values: The column as texts, bytes objects [rows] or [rows, length]; empty ones are missing.
        buckets: The number of ids.
    """
    texts = pa.array(values.ravel(), pa.large_binary())
    spelt = pc.match_substring_regex(texts, ID_PATTERN)
    numbers = pc.if_else(spelt, texts, b"0").cast(pa.large_string()).cast(pa.int64())
    fits = pc.or_(pc.and_(spelt, pc.less(numbers, buckets)), pc.equal(texts, b""))
    wrong = ~fits.to_numpy(zero_copy_only=False).reshape(values.shape)
    rows = wrong.any(axis=tuple(range(1, wrong.ndim)))
    return {int(row): "not_an_id" for row in np.flatnonzero(rows)}


def not_binary(values: np.ndarray, missing: np.ndarray, positive: str | None) -> dict[int, str]:
    """Returns the rows of a yes-or-no column that are neither; with `positive` every value is.

    Args:
        values: The column as texts, bytes objects [rows].
        missing: bool [rows].
        positive: The declared "yes" value.
    """
    if positive is not None:
        return {}
    known = missing.copy()
    for text in (*TRUE_TEXTS, *FALSE_TEXTS):
        known |= values == text.encode()
    return {int(row): "not_binary" for row in np.flatnonzero(~known)}


def _strings(column: pa.Array) -> Conformed:
    if pat.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if not _is_bytes(column.type):
        column = column.cast(pa.large_string()).cast(pa.large_binary())
    elif not pat.is_large_binary(column.type):
        column = column.cast(pa.large_binary())
    if column.null_count:
        column = column.fill_null(b"")
    lengths = pc.binary_length(column).to_numpy(zero_copy_only=False)
    return Conformed(column.to_numpy(zero_copy_only=False), lengths == 0)


def _lists(column: pa.Array, length: int) -> Conformed:
    """Takes the first `length` values of every list; nulls and empty texts do not count."""
    if pat.is_null(column.type):
        column = column.cast(pa.list_(pa.string()))
    entries = pc.list_flatten(column)
    if isinstance(entries, pa.DictionaryArray):
        entries = entries.dictionary_decode()
    found = _strings(entries)
    texts = found.values[~found.missing]
    rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)[~found.missing]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)  # since the row's first value
    kept = places < length
    values = np.full((len(column), length), b"", object)
    values[rows[kept], places[kept]] = texts[kept]
    return Conformed(values, np.bincount(rows, minlength=len(column)) == 0)


def _numbers(column: pa.Array) -> Conformed:
    invalid: dict[int, str] = {}
    if is_text(column.type):
        column, invalid = _parse_numbers(column.cast(pa.large_string()))
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
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


def _parse_numbers(column: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Parses a text column; a text that is no number is listed and becomes null."""
    column = pc.utf8_trim_whitespace(column)
    column = pc.if_else(pc.is_in(pc.utf8_lower(column), _NO_NUMBER), None, column)
    try:
        return column.cast(pa.float64()), {}
    except pa.ArrowInvalid:
        pass
    numbers: list[float | None] = []
    invalid = {}
    for row, text in enumerate(column.to_pylist()):
        try:
            numbers.append(None if text is None else float(text))
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
        found, ragged = _fill(part, column)
        invalid |= dict.fromkeys(ragged, f"channels_is_not_{channels}")
        differing = (steps != _NULL) & (found != _NULL) & (found != steps)
        invalid |= dict.fromkeys(np.flatnonzero(differing).tolist(), "lengths_differ")
        steps = np.maximum(steps, found)
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
    if _is_list(flat.type):
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
