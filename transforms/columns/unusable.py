"""Values that are there and cannot be used, by what the declared kind says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.conform import Conformed
from transforms.contract.columns.datetime_formats import Replacement
from transforms.contract.columns.datetimes import DATETIME_PATTERN, Datetime
from transforms.contract.columns.features import ID_PATTERN, Categorical
from transforms.contract.columns.targets import Binary, Multilabel, SequenceTarget
from transforms.contract.spec import Spec

TRUE_TEXTS = ("1", "1.0", "true", "True", "TRUE")
FALSE_TEXTS = ("0", "0.0", "false", "False", "FALSE")
NO_LABEL = b"\n"  # stands for a list without labels; a label with a line break is never a class


def mark_unusable(spec: Any, column: pa.Array, conformed: Conformed) -> None:
    """Adds to a column's invalid values those that its kind cannot take.

    Args:
        spec: The feature or target.
        column: The source column, the first of several.
        conformed: What the graph is to be given.
    """
    unusable = _UNUSABLE.get(type(spec))
    if unusable is not None:
        conformed.invalid |= unusable(spec, column, conformed)


def _answers(spec: Binary, column: pa.Array, conformed: Conformed) -> dict[int, str]:
    del column
    return not_binary(conformed.values, conformed.missing, spec.positive)


def _categories(spec: Categorical, column: pa.Array, conformed: Conformed) -> dict[int, str]:
    del column
    if spec.encoding != "identity":
        return {}
    return not_an_id(conformed.values, spec.buckets or 0)


def _datetimes(spec: Datetime, column: pa.Array, conformed: Conformed) -> dict[int, str]:
    del column
    return not_a_datetime(conformed.values, conformed.missing, spec.respelling)


def _label_sets(spec: Multilabel, column: pa.Array, conformed: Conformed) -> dict[int, str]:
    _keep_empty_lists(column, conformed)
    return _too_many_labels(column, spec.length)


def _series_to_learn(
    spec: SequenceTarget, column: pa.Array, conformed: Conformed
) -> dict[int, str]:
    del spec, column
    return _incomplete(conformed)


# By kind, for those that cannot take every value that conforms: the rows, with the reason.
_UNUSABLE: dict[type[Spec], Callable[[Any, pa.Array, Conformed], dict[int, str]]] = {
    Binary: _answers,
    Categorical: _categories,
    Datetime: _datetimes,
    Multilabel: _label_sets,
    SequenceTarget: _series_to_learn,
}


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


def not_a_datetime(
    values: np.ndarray, missing: np.ndarray, replacements: Sequence[Replacement] = ()
) -> dict[int, str]:
    """Returns the rows with a text that is no date and time.

    Args:
        values: The column as texts, bytes objects [rows].
        missing: bool [rows].
        replacements: What makes ISO 8601 of the declared format.
    """
    texts = respelt(pa.array(values, pa.large_binary()), replacements)
    spelt = pc.match_substring_regex(texts, DATETIME_PATTERN)
    wrong = ~spelt.to_numpy(zero_copy_only=False) & ~missing
    return {int(row): "not_a_datetime" for row in np.flatnonzero(wrong)}


def respelt(texts: pa.Array, replacements: Sequence[Replacement]) -> pa.Array:
    """Returns texts after replacements, in their order, as the graph respells them."""
    for pattern, replacement in replacements:
        texts = pc.replace_substring_regex(texts, pattern, replacement, max_replacements=1)
    return texts


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


def _keep_empty_lists(column: pa.Array, conformed: Conformed) -> None:
    """A list without labels is a label set too: only a null is missing."""
    null = column.is_null().to_numpy(zero_copy_only=False)
    conformed.values[conformed.missing & ~null, 0] = NO_LABEL
    conformed.missing = null


def _too_many_labels(column: pa.Array, length: int) -> dict[int, str]:
    if pat.is_null(column.type):
        return {}
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return {int(row): f"more_than_{length}_labels" for row in np.flatnonzero(lengths > length)}


def _incomplete(conformed: Conformed) -> dict[int, str]:
    """A series to be learnt has all its numbers."""
    lacking = np.isnan(conformed.values).any(axis=(1, 2)) & ~conformed.missing
    rows = (int(row) for row in np.flatnonzero(lacking))
    return {row: "missing_number" for row in rows if row not in conformed.invalid}
