"""Small real pictures of every format, and pictures that are made to cost too much."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image as Picture

SIDE = 16
PIXELS = np.indices((SIDE, SIDE, 3)).sum(0).astype(np.uint8) * 7


def encoded(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """Returns 16x16 pixels, encoded."""
    buffer = io.BytesIO()
    Picture.fromarray(PIXELS).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """Returns a chunk of a PNG."""
    crc = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + crc


def png(
    width: int = 8, height: int = 8, *, extra: bytes = b"", before: bytes = b"", **header: int
) -> bytes:
    """Returns a black PNG, gray and of 8 bits unless `depth`, `color` or `interlace` differ."""
    depth, color = header.get("depth", 8), header.get("color", 0)
    fields = (width, height, depth, color, 0, 0, header.get("interlace", 0))
    row = 1 + width * depth // 8 * {0: 1, 2: 3, 4: 2, 6: 4}[color]
    data = zlib.compress(bytes(min(row * height * 2, 1 << 22)), 9)  # enough for all passes
    head = b"\x89PNG\r\n\x1a\n" + before + chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))
    return head + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def gif(
    frames: int = 1,
    size: tuple[int, int] = (SIDE, SIDE),
    *,
    screen: tuple[int, int] | None = None,
    extensions: bytes = b"",
) -> bytes:
    """Returns a GIF of equal frames; `screen` is what its header says, by default their size."""
    buffer = io.BytesIO()
    Picture.new("P", size, 1).save(buffer, "GIF")
    one = buffer.getvalue()
    start = one.index(b"\x2c")
    head = one[:6] + struct.pack("<HH", *(screen or size)) + one[10:start]
    return head + extensions + one[start:-1] * frames + b";"


def jpeg_of_scans(scans: int) -> bytes:
    """Returns a progressive JPEG whose last scan is repeated."""
    one = encoded("JPEG", progressive=True)
    last = one[one.rindex(b"\xff\xda\x00") : -2]
    return one[:-2] + last * (scans - one.count(b"\xff\xda\x00")) + one[-2:]


def compressed_texts(count: int) -> bytes:
    """Returns a PNG with texts that are small until they are inflated."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 100_000, 9))
    return png(extra=text * count)


REAL: dict[str, bytes] = {
    "jpeg": encoded("JPEG"),
    "gray jpeg": encoded("JPEG", "L"),
    "cmyk jpeg": encoded("JPEG", "CMYK"),
    "progressive jpeg": encoded("JPEG", progressive=True),
    "png": encoded("PNG"),
    "alpha png": encoded("PNG", "RGBA"),
    "palette png": encoded("PNG", "P"),
    "1 bit png": encoded("PNG", "1"),
    "16 bit png": png(depth=16, color=6),
    "interlaced png": png(interlace=1, color=2),
    "png with text": compressed_texts(1),
    "gif": encoded("GIF"),
    "animated gif": gif(3),
    "interlaced gif": encoded("GIF", "P", interlace=1),
    "bmp": encoded("BMP"),
    "gray bmp": encoded("BMP", "L"),
    "alpha bmp": encoded("BMP", "RGBA"),
    "webp": encoded("WEBP"),
    "tiff": encoded("TIFF"),
}
