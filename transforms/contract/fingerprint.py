"""Names for things by their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import xxhash

_FINGERPRINT_LENGTH = 16  # hex digits, 64 bits: no clash among a workspace's thousands of names
_CHUNK = 4 * 1024 * 1024


def fingerprint(value: Any) -> str:
    """Returns 16 hex digits that name a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_LENGTH]


def new_checksum() -> xxhash.xxh3_128:
    """Returns a 128-bit XXH3 hash of no bytes yet, to be updated with those that are written."""
    return xxhash.xxh3_128()


def checksum(path: Path) -> str:
    """Returns the hash of a file's bytes, in hex."""
    digest = new_checksum()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
