"""The split of a row: a function of the row alone, so that it never changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.conform import decoded, parse_numbers
from transforms.columns.hashing import as_text, key_bytes, key_hashes
from transforms.columns.schema import is_number, is_text
from transforms.contract.declaration.split import SPLITS, ColumnSplit, HashSplit, Split, TimeSplit
from transforms.contract.errors import BraidError

_Problems = dict[int, tuple[str, str]]
_TRAIN, _VALIDATION, _TEST = range(len(SPLITS))


def assign_splits(
    split: Split, keys: np.ndarray, table: Mapping[str, pa.Array]
) -> tuple[np.ndarray, _Problems]:
    """Assigns every row of a batch.

    Args:
        split: The declared split.
        keys: The rows' keys as UTF-8 bytes objects, [rows].
        table: The source columns of the batch; only the split's own column is looked at.

    Returns:
        The index into `SPLITS` as int8 [rows], and (column, reason) of every row without a split.
    """
    if isinstance(split, HashSplit):
        if split.column is not None:
            return _by_group(split, split.column, table[split.column])
        return _by_hash((split.train, split.validation), keys), {}
    if isinstance(split, ColumnSplit):
        return _by_column(split, keys, table[split.column])
    return _by_time(split, table[split.column])


def time_bounds(split: TimeSplit, type_: pa.DataType) -> tuple[pa.Scalar, pa.Scalar]:
    """Returns the bounds in the type of the column that they are compared with.

    A time without a zone is UTC where the column has zones. A text column with numeric bounds is
    compared as numbers.

    Raises:
        BraidError: A bound does not fit the column, or the test rows begin before the validation
            rows.
    """
    bounds = [
        _bound(f"split.{name}", value, type_)
        for name, value in (
            ("validation_from", split.validation_from),
            ("test_from", split.test_from),
        )
    ]
    if pc.less(bounds[1], bounds[0]).as_py():
        raise BraidError(
            "split.test_from",
            expected=f"nothing before validation_from {split.validation_from!r}",
            received=repr(split.test_from),
            action="Training rows come first, then validation rows, then test rows.",
        )
    return bounds[0], bounds[1]


def _bound(place: str, value: str | int | float, type_: pa.DataType) -> pa.Scalar:
    if pat.is_dictionary(type_):
        return _bound(place, value, type_.value_type)
    try:
        if isinstance(value, str):
            if pat.is_timestamp(type_) or pat.is_date(type_):
                moment = datetime.fromisoformat(value)
                if pat.is_date(type_):
                    return pa.scalar(moment.date(), type_)
                if type_.tz is not None and moment.tzinfo is None:
                    moment = moment.replace(tzinfo=UTC)
                return pa.scalar(moment, type_)
            if is_text(type_):
                return pa.scalar(value, type_)
        elif is_text(type_) or is_number(type_):
            return pa.scalar(float(value))
    except (ValueError, pa.ArrowException):
        pass
    raise BraidError(
        place,
        expected=f"a value to compare with a column of type {type_}",
        received=repr(value),
        action="Write an ISO date or time for dates and times, a number for numbers.",
    )


def _by_hash(percentages: tuple[int, int], names: np.ndarray) -> np.ndarray:
    """Returns the splits of rows by the hash of their names.

    Args:
        percentages: Those of training and of validation rows.
        names: Keys or names of groups as UTF-8 bytes objects, [rows].
    """
    buckets = (key_hashes(names) % 100).astype(np.int8)
    return np.searchsorted(np.cumsum(percentages), buckets, side="right").astype(np.int8)


def _by_group(split: HashSplit, name: str, column: pa.Array) -> tuple[np.ndarray, _Problems]:
    groups = key_bytes(column)
    result = _by_hash((split.train, split.validation), groups)
    return result, dict.fromkeys(np.flatnonzero(groups == b"").tolist(), (name, "missing"))


def _by_column(
    split: ColumnSplit, keys: np.ndarray, column: pa.Array
) -> tuple[np.ndarray, _Problems]:
    texts = as_text(column)
    result = np.full(len(texts), -1, np.int8)
    for index, values in enumerate(split.values()):
        named = pc.is_in(texts, pa.array(values, texts.type))
        result[named.to_numpy(zero_copy_only=False)] = index
    train, validation, _ = split.percentages()
    if train < 100:
        rows = result == _TRAIN
        result[rows] = _by_hash((train, validation), keys[rows])
    problems = {
        int(row): (split.column, "unknown_split" if texts[row].as_py() else "missing")
        for row in np.flatnonzero(result < 0)
    }
    return result, problems


def _by_time(split: TimeSplit, column: pa.Array) -> tuple[np.ndarray, _Problems]:
    column = decoded(column)
    if is_text(column.type):
        column = column.cast(pa.large_string())  # views cannot be compared
    values = column
    validation_from, test_from = time_bounds(split, column.type)
    not_numbers: dict[int, str] = {}
    if is_text(column.type):
        if pat.is_floating(validation_from.type):
            values, not_numbers = parse_numbers(column)
        else:  # the empty text is a missing one, and would be before all others
            values = pc.if_else(pc.equal(pc.binary_length(column), 0), None, column)
    elif not pat.is_temporal(column.type) and pat.is_floating(validation_from.type):
        values = column.cast(pa.float64(), safe=False)
    result = np.full(len(column), _TRAIN, np.int8)
    for index, bound in ((_VALIDATION, validation_from), (_TEST, test_from)):
        reached = pc.fill_null(pc.greater_equal(values, bound), False)
        result[reached.to_numpy(zero_copy_only=False)] = index
    # Compared with a bound NaN is not later, and would train.
    absent = values.is_null(nan_is_null=True)
    unusable = np.flatnonzero(absent.to_numpy(zero_copy_only=False)).tolist()
    return result, {row: (split.column, not_numbers.get(row, "missing")) for row in unusable}
