"""The framing of records in a TFRecord file.

A record is its length (8 bytes), the length's masked CRC-32C (4), the data, and theirs (4).
"""

from __future__ import annotations

import struct
from functools import lru_cache

import google_crc32c

LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
HEADER_BYTES = LENGTH.size + CRC.size
_LENGTHS = 65_536  # headers to keep: one a length that a record may have


@lru_cache(_LENGTHS)
def header(length: int) -> bytes:
    """Returns what stands before a record of a length."""
    packed = LENGTH.pack(length)
    return packed + footer(packed)


def footer(data: bytes) -> bytes:
    """Returns what stands behind data: their masked CRC-32C.

    A checksum of data that hold checksums is weak, so it is rotated and added to.
    """
    crc: int = google_crc32c.value(data)
    return CRC.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
