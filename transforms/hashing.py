"""Keys as bytes, and the hash of a key: what decides a row's split and finds shared keys."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import xxhash


def key_bytes(column: pa.Array) -> np.ndarray:
    """Returns a key column as the UTF-8 bytes of its text, objects [rows]; a null is empty.

    A number and the text that spells it are the same key, so that a column's type may change.
    """
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    texts = column.cast(pa.large_string()).fill_null("")
    return np.asarray(texts.cast(pa.large_binary()).to_numpy(zero_copy_only=False))


def key_hashes(keys: np.ndarray) -> np.ndarray:
    """Returns the 64-bit XXH3 hash of every key, uint64 [rows]."""
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter(map(digest, keys), np.uint64, len(keys))
