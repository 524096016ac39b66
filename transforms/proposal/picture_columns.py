"""Columns of pictures: bytes that begin like one, or paths of such files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image as Pillow

from transforms.contract.columns.features import FeatureSpec, Image

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")
_LOOKED_AT = 50
_LONGEST_SIDE = 96  # pixels: more cost time, and few small tables have the rows to learn from them
_SMALLEST_SIDE = 8
_MOSTLY = 0.9


def picture_choice(
    contents: Sequence[bytes | None], given: Literal["bytes", "paths"]
) -> tuple[FeatureSpec | None, str]:
    """Returns how a column of pictures is declared, or None, and the reason.

    Args:
        contents: Cells, or what the files have that they name; None is a missing one.
        given: Which of both.
    """
    present = [content for content in contents if content]
    pictures = [content for content in present if content.startswith(_MAGIC)]
    if given == "paths" and len(present) < _MOSTLY * len(contents):
        return None, (
            "paths of pictures that are not below the source's folder: name theirs in "
            "source.allow and declare {kind: image, height: 64, width: 64}"
        )
    if not present:
        return None, "empty"
    if len(pictures) < _MOSTLY * len(present):
        return None, "bytes that are no JPEG, PNG, GIF or BMP"
    sizes, modes = _headers(pictures[:_LOOKED_AT])
    if not sizes:
        return None, "pictures whose headers cannot be read"
    width, height = np.median(np.array(sizes), axis=0)
    scale = min(1.0, _LONGEST_SIDE / max(width, height))
    rows, columns = (max(_SMALLEST_SIDE, round(side * scale)) for side in (height, width))
    gray = set(modes) <= {"L", "1", "I;16", "I"}
    spec = Image(kind="image", height=rows, width=columns, channels=1 if gray else 3)
    what = "pictures" if given == "bytes" else "paths of pictures"
    return spec, f"{what}, {width:.0f} x {height:.0f} pixels" + (", gray" if gray else "")


def _headers(pictures: Sequence[bytes]) -> tuple[list[tuple[int, int]], list[str]]:
    sizes, modes = [], []
    for content in pictures:
        try:
            with Pillow.open(io.BytesIO(content)) as picture:  # reads no pixel
                sizes.append(picture.size)
                modes.append(picture.mode)
        except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
            continue
    return sizes, modes
