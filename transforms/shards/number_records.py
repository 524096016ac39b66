"""Numbers to serialized `tf.Example` records, all rows of a batch at once.

All records of a batch have one layout, so that they differ in nothing but the numbers: what stands
between these is written once, and every column is copied to its place in all records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

_BLOCK_BYTES = 1 << 20  # of records that are filled at a time; they fit a core's cache
_FLOAT_LIST, _INT64_LIST = b"\x12", b"\x1a"  # fields 2 and 3 of Feature


def can_encode(values: np.ndarray) -> bool:
    """Returns whether a column is of numbers that take equal room in all records of a batch.

    Lists of ids are not: their padding would take as much room as the ids.
    """
    return values.dtype == np.float32 or (values.dtype == np.int64 and values.ndim == 1)


def encode_numbers(columns: Mapping[str, np.ndarray]) -> list[bytes]:
    """Returns one record a row.

    Args:
        columns: Those that `can_encode`: float32 [rows, ...] or int64 [rows].
    """
    before, sizes = [], []
    for name, values in columns.items():
        is_int = values.dtype == np.int64
        size = _int_bytes(values) if is_int else 4 * math.prod(values.shape[1:])
        before.append(_before_numbers(name, size, is_int=is_int))
        sizes.append(size)
    start = b"\x0a" + varint(sum(map(len, before)) + sum(sizes))
    layout = start + b"".join(b + bytes(size) for b, size in zip(before, sizes, strict=True))
    rows, block = len(next(iter(columns.values()))), max(1, _BLOCK_BYTES // len(layout))
    records: list[bytes] = []
    for first in range(0, rows, block):
        part = [values[first : first + block] for values in columns.values()]
        records += _records(layout, len(start), part, before, sizes)
    return records


def varint(number: int) -> bytes:
    """Encodes a length as protocol buffers do: 7 bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _records(
    layout: bytes,
    place: int,
    columns: Sequence[np.ndarray],
    before: Sequence[bytes],
    sizes: Sequence[int],
) -> list[bytes]:
    """Returns records of one layout.

    Args:
        layout: A record with zeros for all numbers.
        place: Where its first feature begins.
        columns: The numbers, [rows, ...] each.
        before: What stands before each column's numbers.
        sizes: The bytes that each column's numbers take in a record.
    """
    rows, length = len(columns[0]), len(layout)
    records = np.empty((rows, length), np.uint8)
    records[:] = np.frombuffer(layout, np.uint8)
    for values, head, size in zip(columns, before, sizes, strict=True):
        place += len(head)
        if values.dtype == np.int64:
            _write_ints(records[:, place : place + size], values)
        else:
            width = size // 4
            numbers = np.ndarray((rows, width), "<f4", records.data, place, (length, 4))
            numbers[:] = values.reshape(rows, width)
        place += size
    whole = records.tobytes()
    return [whole[at : at + length] for at in range(0, rows * length, length)]


def _before_numbers(name: str, size: int, *, is_int: bool) -> bytes:
    """Returns what stands before packed numbers of `size` bytes.

    From the inside: the list's packed values (field 1), the feature's list, the map entry's value
    (field 2) after its key (field 1), Features.feature.
    """
    key = name.encode()
    values = b"\x0a" + varint(size)
    feature = (_INT64_LIST if is_int else _FLOAT_LIST) + varint(len(values) + size) + values
    entry = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(feature) + size) + feature
    return b"\x0a" + varint(len(entry) + size) + entry


def _int_bytes(values: np.ndarray) -> int:
    """Returns the bytes that the largest number takes; a negative one takes all ten."""
    largest = int(values.view(np.uint64).max(initial=0))
    return max(1, -(-largest.bit_length() // 7))


def _write_ints(places: np.ndarray, values: np.ndarray) -> None:
    """Writes numbers of equal length: a smaller one has zeros in its upper bytes."""
    rest = values.view(np.uint64)
    last = places.shape[1] - 1
    for byte in range(last):
        places[:, byte] = (rest & np.uint64(0x7F)).astype(np.uint8) | 0x80
        rest = rest >> np.uint64(7)
    places[:, last] = rest.astype(np.uint8)
