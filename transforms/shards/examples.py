"""Columns to serialized `tf.Example` records."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pyarrow as pa
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from transforms.shards.number_records import can_encode, encode_numbers, varint

_LENGTHS = 65_536  # prefixes to keep: one a length that a value may have


class ExampleEncoder:
    """Serializes batches of columns; what a row has of a column is one list of the record.

    Bytes, which may be pixels, are put behind the other values as they are. That is a valid
    record: concatenated protocol buffer messages are one message with the fields of both.
    """

    def __init__(self) -> None:
        self._encoder = RecordBatchToExamplesEncoder()

    def encode(self, columns: Mapping[str, np.ndarray]) -> list[bytes]:
        """Returns one record a row.

        Args:
            columns: int64 or float32, [rows] or [rows, ...]; bytes objects, [rows] or
                [rows, length], of which the empty ones are left out; or uint8 [rows, ...], of which
                each row is one bytes value.
        """
        numbers = {name: values for name, values in columns.items() if can_encode(values)}
        others = {name: values for name, values in columns.items() if name not in numbers}
        lists = {name: _lists(v) for name, v in others.items() if v.dtype.kind in "if"}
        records = [b""] * len(next(iter(columns.values())))
        if numbers:
            records = encode_numbers(numbers)
        if lists:
            ids = self._encoder.encode(pa.RecordBatch.from_pydict(lists))
            records = [b"".join(parts) for parts in zip(records, ids, strict=True)]
        for name, values in others.items():
            if name in lists:
                continue
            write = _many if values.dtype == object and values.ndim > 1 else _one
            records = [
                b"".join((record, *write(name, value)))
                for record, value in zip(records, values, strict=True)
            ]
        return records


def _lists(values: np.ndarray) -> pa.LargeListArray:
    rows = values.shape[0]
    width = int(np.prod(values.shape[1:], dtype=np.int64))
    offsets = np.arange(0, rows * width + 1, max(width, 1), dtype=np.int64)
    flat = pa.array(values.ravel(), pa.from_numpy_dtype(values.dtype))
    return pa.LargeListArray.from_arrays(offsets, flat)


def _one(name: str, value: bytes | np.ndarray) -> tuple[bytes, bytes | memoryview]:
    if isinstance(value, np.ndarray):
        return _before_one(name, value.nbytes), value.data
    return _before_one(name, len(value)), value


def _many(name: str, values: np.ndarray) -> tuple[bytes, bytes]:
    written = b"".join(_before_value(len(value)) + value for value in values if value)
    return _before_list(name, len(written)), written


@lru_cache(_LENGTHS)
def _before_one(name: str, length: int) -> bytes:
    """Returns what stands before `length` bytes that are the only value of a feature."""
    value = _before_value(length)
    return _before_list(name, len(value) + length) + value


@lru_cache(_LENGTHS)
def _before_value(length: int) -> bytes:
    """Returns what stands before a value of a list: BytesList.value."""
    return b"\x0a" + varint(length)


@lru_cache(_LENGTHS)
def _before_list(name: str, length: int) -> bytes:
    """Returns what stands before a list that takes `length` bytes.

    From the inside: Feature.bytes_list, the map entry's value (field 2) after its key (field 1),
    Features.feature, Example.features.
    """
    key = name.encode()
    feature = b"\x0a" + varint(length)
    entry = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(feature) + length) + feature
    features = b"\x0a" + varint(len(entry) + length) + entry
    return b"\x0a" + varint(len(features) + length) + features
