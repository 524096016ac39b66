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


def key_bytes(*columns: pa.Array) -> np.ndarray:
    """Returns keys, or names of groups, as UTF-8 bytes objects, [rows]; a null is empty.

    The parts of a key of several columns stand side by side with "/" between them, and `key_parts`
    tells them apart again: a "/" in one of them is "%2F", and a "%" is "%25". Where a part is null
    or empty, all of the key is.
    """
    texts = [as_text(column) for column in columns]
    if len(texts) > 1:
        parts = [pc.if_else(pc.equal(text, ""), None, _escaped(text)) for text in texts]
        texts = [pc.binary_join_element_wise(*parts, pa.scalar("/", pa.large_string()))]
    keys = texts[0].fill_null("")
    return np.asarray(keys.cast(pa.large_binary()).to_numpy(zero_copy_only=False))


def key_parts(keys: np.ndarray, count: int) -> list[list[str]]:
    """Returns the parts of keys that `key_bytes` joined out of so many columns, [count][rows].

    Args:
        keys: UTF-8 bytes objects, [rows]; the parts of an empty one are empty.
        count: The number of columns.
    """
    if count == 1:
        return [[key.decode() for key in keys]]
    split = [key.decode().split("/") if key else [""] * count for key in keys]
    return [[_unescaped(parts[index]) for parts in split] for index in range(count)]


def _escaped(texts: pa.Array) -> pa.Array:
    return pc.replace_substring(pc.replace_substring(texts, "%", "%25"), "/", "%2F")


def _unescaped(text: str) -> str:
    return text.replace("%2F", "/").replace("%25", "%")


def key_hashes(keys: np.ndarray) -> np.ndarray:
    """Returns the 64-bit XXH3 hash of every key, uint64 [rows]."""
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter(map(digest, keys), np.uint64, len(keys))
