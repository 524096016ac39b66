"""Names of rows as bytes and their hashes: what decides a row's split and finds shared keys."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat
import xxhash

from transforms.columns.conform import decoded

_EXACT = 2.0**53  # up to here a double holds every whole number


def as_text(column: pa.Array) -> pa.Array:
    """Returns a column of scalars as Arrow's large_string, [rows]; NaN is null.

    A number and the text that spells it become the same, so that a column's type may change: a
    column of whole numbers is one of floats as soon as a data frame lacks one of them.
    """
    column = decoded(column)
    if not pat.is_floating(column.type):
        return column.cast(pa.large_string())
    doubles = column.cast(pa.float64())
    # Arrow would write 12345678901 as 1.2345678901e+10.
    whole = pc.and_(pc.equal(pc.floor(doubles), doubles), pc.less(pc.abs(doubles), _EXACT))
    integers = pc.if_else(whole, doubles, None).cast(pa.int64())
    numbers = pc.if_else(pc.is_nan(doubles), None, column)
    return pc.coalesce(integers.cast(pa.large_string()), numbers.cast(pa.large_string()))


def key_bytes(column: pa.Array) -> np.ndarray:
    """Returns keys, or names of groups, as UTF-8 bytes objects, [rows]; a null is empty."""
    texts = as_text(column).fill_null("")
    return np.asarray(texts.cast(pa.large_binary()).to_numpy(zero_copy_only=False))


def key_hashes(keys: np.ndarray) -> np.ndarray:
    """Returns the 64-bit XXH3 hash of every key, uint64 [rows]."""
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter(map(digest, keys), np.uint64, len(keys))
