"""Stored features as the columns of one matrix, for models that take nothing else.

B rows, N ids, D columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from transforms.contract.workspace.manifest import StoredFeature

MOST_COLUMNS = 1_024  # 80 MB of 20,000 rows; their eigenvectors take a second or two
_MOST_IDS = 1_000  # of a category or a text that have a column of their own
_MOST_NUMBERS = 512  # of a series: longer ones are averaged over neighbouring steps
_SIDE = 8  # of a picture, in pixels
_SMALLEST_DEVIATION = 1e-12  # below it a column is constant, and is divided by 1 instead

Encode = Callable[[np.ndarray], np.ndarray]


def compact(stored: StoredFeature, values: np.ndarray) -> np.ndarray:
    """Returns one feature's values small enough to keep those of many rows.

    Ids stay what they are, padding among numbers becomes 0, which is about their mean; series are
    averaged down to 512 numbers, pictures to 8x8 gray pixels.

    Args:
        stored: The feature.
        values: [B, *shape] of its dtype.

    Returns:
        int32 [B, N] of ids, else float32 [B, width].
    """
    if stored.cardinality is not None:
        return values.reshape(len(values), -1).astype(np.int32)
    if stored.dtype == "uint8" and values.ndim == 4:
        gray_BHW1 = tf.reduce_mean(tf.cast(values, tf.float32), axis=-1, keepdims=True)
        small = tf.image.resize(gray_BHW1, [_SIDE, _SIDE], method="area").numpy()
        return np.asarray(small.reshape(len(values), -1) / 255)
    numbers = np.nan_to_num(values.astype(np.float32))
    if numbers.ndim > 2:
        numbers = _averaged(numbers.reshape(len(numbers), numbers.shape[1], -1))
    return numbers.reshape(len(numbers), -1)


def compact_width(stored: StoredFeature) -> int:
    """Returns how many numbers or ids `compact` makes of a row, at most."""
    if stored.cardinality is None and stored.dtype == "uint8" and len(stored.shape) == 3:
        return _SIDE * _SIDE
    numbers = math.prod(stored.shape)
    if stored.cardinality is not None or len(stored.shape) < 2:
        return numbers
    return min(numbers, max(_MOST_NUMBERS, numbers // stored.shape[0]))


def _averaged(series_BLC: np.ndarray) -> np.ndarray:
    """Returns a series with its steps averaged in groups of neighbours, if there are too many."""
    steps, channels = series_BLC.shape[1:]
    groups = max(1, _MOST_NUMBERS // channels)
    if steps <= groups:
        return series_BLC
    starts = np.linspace(0, steps, groups, endpoint=False).astype(int)
    sizes = np.diff([*starts, steps]).astype(np.float32)
    return np.add.reduceat(series_BLC, starts, axis=1) / sizes[np.newaxis, :, np.newaxis]


class DesignMatrix:
    """The columns of a table's features, learnt from a sample of its training rows.

    Numbers are standardized. A category has a column for each of its most frequent ids, the last
    one for all others; a text has its terms' counts times their smooth inverse document frequency,
    scaled to length 1 (Salton and Buckley, "Term-Weighting Approaches in Automatic Text Retrieval",
    1988). There are `MOST_COLUMNS` in all at most, shared among the features.

    Args:
        features: What the columns are of.
        rows: Their values of the sample, as `compact` gives them.
    """

    def __init__(self, features: Sequence[StoredFeature], rows: Mapping[str, np.ndarray]) -> None:
        wanted = [_width(stored, rows[stored.name]) for stored in features]
        self._encoders: dict[str, Encode] = {}
        for stored, columns in zip(features, fair_shares(wanted, MOST_COLUMNS), strict=True):
            if columns:
                self._encoders[stored.name] = _encoder(stored, rows[stored.name], columns)

    def of(self, rows: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns rows as `compact` gives them as float32 [B, D]."""
        parts = [encode(rows[name]) for name, encode in self._encoders.items()]
        return np.concatenate(parts, axis=1, dtype=np.float32)


def flattened(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns rows as `compact` gives them as they are, side by side, float32 [B, D]."""
    return np.concatenate(list(rows.values()), axis=1, dtype=np.float32)


def fair_shares(wanted: Sequence[int], total: int) -> list[int]:
    """Returns how much of a total each one gets: what it wants, or an equal part of what is left.

    What one does not want is left to the others.
    """
    shares = [0] * len(wanted)
    left = total
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for done, index in enumerate(order):
        shares[index] = min(wanted[index], left // (len(order) - done))
        left -= shares[index]
    return shares


def _is_placed(stored: StoredFeature) -> bool:
    """Returns whether each place of a row has ids of its own, as the bucket of each number does."""
    return stored.kind == "numeric"


def _width(stored: StoredFeature, values: np.ndarray) -> int:
    if stored.cardinality is None:
        return int(values.shape[1])
    places = values.shape[1] if _is_placed(stored) else 1
    return int(min(stored.cardinality, _MOST_IDS) * places)


def _encoder(stored: StoredFeature, values: np.ndarray, columns: int) -> Encode:
    if stored.kind == "text":
        return _terms(values, columns)
    # Without room for a column of every place's every bucket their numbers say what is most.
    crowded = _is_placed(stored) and columns < _width(stored, values)
    if stored.cardinality is None or crowded:
        return _numbers(values, min(columns, values.shape[1]))
    return _categories(stored, values.shape[1], columns)


def _numbers(values: np.ndarray, columns: int) -> Encode:
    chosen = np.linspace(0, values.shape[1], columns, endpoint=False).astype(int)
    mean = values[:, chosen].mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = values[:, chosen].std(axis=0, dtype=np.float64).astype(np.float32)
    deviation[deviation < _SMALLEST_DEVIATION] = 1.0
    return lambda numbers: (numbers[:, chosen] - mean) / deviation


def _categories(stored: StoredFeature, length: int, columns: int) -> Encode:
    places = length if _is_placed(stored) else 1
    each = columns // places
    offsets = np.arange(length) * each if places > 1 else np.zeros(length, int)
    is_list = places == 1 and stored.shape != ()

    def encode(ids_BN: np.ndarray) -> np.ndarray:
        # Id 0 of a list pads it.
        counted = ids_BN > 0 if is_list else np.ones_like(ids_BN, bool)
        return _counts(np.minimum(ids_BN, each - 1) + offsets, counted, each * places)

    return encode


def _terms(values: np.ndarray, columns: int) -> Encode:
    def counts(ids_BN: np.ndarray) -> np.ndarray:
        # Id 0 pads; the ids of rare terms are the high ones.
        return _counts(ids_BN, (ids_BN > 0) & (ids_BN < columns), columns)

    rows_with_term = np.count_nonzero(counts(values), axis=0)
    weights = (np.log((1 + len(values)) / (1 + rows_with_term)) + 1).astype(np.float32)

    def encode(ids_BN: np.ndarray) -> np.ndarray:
        weighed = counts(ids_BN) * weights
        lengths = np.linalg.norm(weighed, axis=1, keepdims=True)
        return np.asarray(weighed / np.where(lengths > 0, lengths, 1.0))

    return encode


def _counts(ids_BN: np.ndarray, counted_BN: np.ndarray, columns: int) -> np.ndarray:
    """Returns how often each row has each id, float32 [B, columns]."""
    counts = np.zeros((len(ids_BN), columns), np.float32)
    rows, places = np.nonzero(counted_BN)
    np.add.at(counts, (rows, ids_BN[rows, places]), 1.0)
    return counts
