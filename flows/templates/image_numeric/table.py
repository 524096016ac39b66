"""Writes a made-up table of melons and whether they are ripe.

A ripe melon is heavy for its size. The weight stands in a column; the size shows in the photo
alone, which is always taken from the same height. Size and density are drawn independently, so
that the size alone says nothing, and the weight alone little.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

_SIDE = 64  # pixels
_SMALLEST, _LARGEST = 11.0, 27.0  # radius in pixels
_PIXEL = 0.5  # centimetres
_DENSITY_SPREAD = 0.45  # of its logarithm


def write_table(folder: Path, rows: int = 1500, seed: int = 7) -> None:
    """Writes `melons.parquet`; the same bytes for the same seed.

    The column `radius`, which no feature reads, is the drawn melon's, in pixels.

    Args:
        folder: Where the file goes.
        rows: Rows in all.
        seed: Of everything that is random.
    """
    random = np.random.default_rng(seed)
    radius = random.uniform(_SMALLEST, _LARGEST, size=rows)
    density = np.exp(_DENSITY_SPREAD * random.normal(size=rows))
    kilograms = density * 4 / 3 * np.pi * (radius * _PIXEL) ** 3 / 1000
    table = {
        "melon": [f"M{index:06d}" for index in range(rows)],
        "photo": pa.array([_photo(pixels, random) for pixels in radius], pa.binary()),
        "weight": np.round(kilograms, 3),
        "ripe": (density > 1).astype(np.int64),
        "radius": radius,
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), folder / "melons.parquet")


def _photo(radius: float, random: np.random.Generator) -> bytes:
    """Draws a melon of its own green, somewhere on a table of its own brown, as PNG."""
    light = int(random.integers(-15, 15))
    wood = int(random.integers(110, 170))
    picture = Image.new("RGB", (_SIDE, _SIDE), (wood + light, wood - 30 + light, wood - 60))
    draw = ImageDraw.Draw(picture)
    space = _SIDE / 2 - radius
    x, y = (_SIDE / 2 + random.uniform(-space, space) for _ in range(2))
    green = int(random.integers(110, 170))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(50, green + light, 50))
    for width in (0.75, 0.3):  # the stripes
        stripe = (x - width * radius, y - radius, x + width * radius, y + radius)
        draw.ellipse(stripe, outline=(30, green - 50 + light, 30), width=2)
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()
