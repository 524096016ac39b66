"""Columns of lists: several categories, a few numbers, or a series."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.schema import is_label, is_list, is_number
from transforms.contract.columns.features import Categorical, FeatureSpec, Numeric
from transforms.contract.columns.series import Sequence
from transforms.proposal.sampled_column import SampledColumn

_VECTOR = 4  # numbers in a list that are as many columns; more are a series
_MOST_CATEGORIES = 32  # of a list
_LONGEST = 1_000  # steps of a series; what is beyond is cut


def list_choice(column: SampledColumn) -> tuple[FeatureSpec | None, str]:
    """Returns how a column of lists is declared, or None, and the reason."""
    lengths = _lengths(column.values)
    if not lengths.size or not lengths.max():
        return None, "empty"
    entry = column.type.value_type
    if is_number(entry) and not _are_codes(column.values, lengths):
        return _series(lengths, channels=1)
    if is_label(entry):
        length = int(min(lengths.max(), _MOST_CATEGORIES))
        return Categorical(kind="categorical", length=length), f"lists of up to {length} categories"
    if is_list(entry) and is_number(entry.value_type):
        widths = np.unique(_lengths(pc.list_flatten(column.values)))
        if len(widths) == 1 and widths[0]:
            return _series(lengths, channels=int(widths[0]))
        return None, "lists of lists of several lengths: a series has as many numbers in every step"
    return None, f"no kind takes the type {column.type}: convert it to numbers or text"


def _lengths(lists: pa.Array) -> np.ndarray:
    """Returns the lengths of the lists that are there, int64 [any]."""
    lengths = pc.list_value_length(lists).drop_null()
    return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)


def _are_codes(lists: pa.Array, lengths: np.ndarray) -> bool:
    """Returns whether whole numbers stand for categories: short lists of changing lengths."""
    if not pat.is_integer(lists.type.value_type) or len(np.unique(lengths)) == 1:
        return False
    different = len(pc.list_flatten(lists).unique())
    return bool(lengths.max() <= _MOST_CATEGORIES and different <= lengths.sum() / 2)


def _series(lengths: np.ndarray, *, channels: int) -> tuple[FeatureSpec, str]:
    longest = int(min(lengths.max(), _LONGEST))
    width = channels if channels > 1 else None
    steps = f"{longest} steps" + (f" of {channels} numbers" if channels > 1 else "")
    if len(np.unique(lengths)) == 1 and lengths.max() <= _LONGEST:
        if longest <= _VECTOR and channels == 1:
            return Numeric(kind="numeric", length=longest), f"lists of {longest} numbers"
        return Sequence(kind="sequence", length=longest, channels=width), f"series of {steps}"
    spec = Sequence(kind="sequence", length=longest, variable=True, channels=width)
    return spec, f"series of up to {steps}" + (
        "; the rest is cut" if lengths.max() > longest else ""
    )
