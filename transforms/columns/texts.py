"""Texts of a source column that are no UTF-8: the one place that looks, for every reader of rows.

Arrow takes the bytes of a text column as they are, and whoever reads such a text fails, each in its
own way: Python, the key's hash, TensorFlow's ops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.conform import decoded
from transforms.columns.schema import is_list, is_text

NOT_UTF8 = "not_utf8"  # the reason of a reject
_NO_ROWS = np.zeros(0, np.int64)


def utf8_only(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Returns a column with a null for what is no UTF-8, and the rows that had it, int64 [any].

    Args:
        column: Of any type; only texts, dictionaries of texts and lists of texts can have such
            rows. A list with one such text is null as a whole.
    """
    if _is_readable(column):
        return column, _NO_ROWS
    column = decoded(column)
    if is_list(column.type):
        parents = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
        rows = np.unique(parents[_not_utf8(decoded(pc.list_flatten(column)))])
    else:
        rows = np.flatnonzero(_not_utf8(column))
    places = np.arange(len(column))
    indices = pa.array(places, mask=np.isin(places, rows))
    return _takeable(column).take(indices), rows.astype(np.int64)


def bytes_of(cell: pa.Array) -> bytes:
    """Returns what a row has that is no UTF-8: a text's bytes, or those of a list's texts.

    Args:
        cell: The row alone, [1].
    """
    cell = decoded(cell)
    if is_list(cell.type):
        cell = decoded(pc.list_flatten(cell))
    return b", ".join(text for text in _bytes(cell) if text is not None)


def _is_readable(column: pa.Array) -> bool:
    """Returns whether every text is UTF-8. Looks at the bytes once, without a copy."""
    if isinstance(column, pa.DictionaryArray):
        return _is_readable(column.dictionary)
    if is_list(column.type):
        values = column.type.value_type
        return not _has_texts(values) or _is_readable(pc.list_flatten(column))
    if not is_text(column.type):
        return True
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _has_texts(type_: pa.DataType) -> Any:
    return is_text(type_.value_type if pat.is_dictionary(type_) else type_)


def _not_utf8(texts: pa.Array) -> np.ndarray:
    """Returns where a text is no UTF-8, bool [rows]."""
    return np.fromiter(map(_is_broken, _bytes(texts)), bool, len(texts))


def _bytes(texts: pa.Array) -> list[bytes | None]:
    values: list[bytes | None] = texts.cast(pa.large_binary()).to_pylist()
    return values


def _is_broken(text: bytes | None) -> bool:
    try:
        (text or b"").decode()
    except UnicodeDecodeError:
        return True
    return False


def _takeable(column: pa.Array) -> pa.Array:
    """Returns a column of a type that Arrow can take by index."""
    if pat.is_string_view(column.type):
        return column.cast(pa.large_string())
    if is_list(column.type) and pat.is_string_view(column.type.value_type):
        return column.cast(pa.list_(pa.large_string()))
    return column
