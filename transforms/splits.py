"""Which split a row belongs to: a function of the row alone, so that it never changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.contract.source import SPLITS, ColumnSplit, HashSplit, Split, TimeSplit
from transforms.hashing import key_hashes

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
        return _by_hash(split, keys), {}
    if isinstance(split, ColumnSplit):
        return _by_column(split, table[split.column])
    return _by_time(split, table[split.column])


def _by_hash(split: HashSplit, keys: np.ndarray) -> np.ndarray:
    buckets = (key_hashes(keys) % 100).astype(np.int8)
    bounds = [split.train, split.train + split.validation]
    return np.searchsorted(bounds, buckets, side="right").astype(np.int8)


def _by_column(split: ColumnSplit, column: pa.Array) -> tuple[np.ndarray, _Problems]:
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    texts = np.asarray(column.cast(pa.string()).to_pylist(), dtype=object)
    result = np.full(len(texts), -1, np.int8)
    for index, values in enumerate((split.train, split.validation, split.test)):
        result[np.isin(texts.astype(str), values) & (texts != None)] = index  # noqa: E711
    problems = {
        int(row): (split.column, "missing" if texts[row] is None else "unknown_split")
        for row in np.flatnonzero(result < 0)
    }
    return result, problems


def _by_time(split: TimeSplit, column: pa.Array) -> tuple[np.ndarray, _Problems]:
    if pat.is_string(column.type) and not isinstance(split.validation_from, str):
        column = column.cast(pa.float64())
    result = np.full(len(column), _TRAIN, np.int8)
    for index, bound in ((_VALIDATION, split.validation_from), (_TEST, split.test_from)):
        reached = pc.greater_equal(column, pa.scalar(bound).cast(column.type))
        result[reached.fill_null(False).to_numpy(zero_copy_only=False)] = index
    missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    return result, {int(row): (split.column, "missing") for row in missing}
