"""Writes a made-up table of plants, photographed twice, and whether they grew in between.

The photos are files beside the table, which has their paths. A plant grew if its crown is larger
in the second photo than in the first; both sizes are drawn independently, so that one photo says
little. Some files are missing, others damaged.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

_SIDE = 64  # pixels
_SMALLEST, _LARGEST = 7.0, 24.0  # radius of a crown in pixels
_DAMAGED_EVERY = 40  # rows: one photo of one of them is missing or damaged
_PHOTOS = ("before", "after")


def write_table(folder: Path, rows: int = 1200, seed: int = 7) -> None:
    """Writes `plants.parquet` and `photos/`; the same bytes for the same seed.

    The columns `before_radius` and `after_radius`, which no feature reads, are those of the drawn
    crowns, in pixels.

    Args:
        folder: Where the table and the photos' folder go.
        rows: Rows in all.
        seed: Of everything that is random.
    """
    random = np.random.default_rng(seed)
    radius = {name: random.uniform(_SMALLEST, _LARGEST, size=rows) for name in _PHOTOS}
    paths: dict[str, list[str]] = {name: [] for name in _PHOTOS}
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for index in range(rows):
        for name in _PHOTOS:
            path = f"photos/{index:06d}-{name}.jpg"
            (folder / path).write_bytes(_photo(radius[name][index], random))
            paths[name].append(path)
    damaged = random.choice(rows, size=rows // _DAMAGED_EVERY, replace=False)
    for turn, index in enumerate(damaged):
        damage = _DAMAGES[turn // len(_PHOTOS) % len(_DAMAGES)]
        damage(folder / paths[_PHOTOS[turn % len(_PHOTOS)]][index])
    table = {
        "plant": [f"P{index:06d}" for index in range(rows)],
        **paths,
        "grew": (radius["after"] > radius["before"]).astype(np.int64),
        **{f"{name}_radius": radius[name] for name in _PHOTOS},
    }
    pq.write_table(pa.table(table), folder / "plants.parquet")


def _photo(radius: float, random: np.random.Generator) -> bytes:
    """Draws a plant in its pot before a wall, both of any colour, as JPEG."""
    picture = Image.new("RGB", (_SIDE, _SIDE), tuple(random.integers(150, 230, size=3).tolist()))
    draw = ImageDraw.Draw(picture)
    x = _SIDE / 2 + random.uniform(-6, 6)
    pot = (int(random.integers(130, 190)), 80, 50)
    draw.polygon([(x - 11, 50), (x + 11, 50), (x + 8, 63), (x - 8, 63)], fill=pot)
    y = 52 - radius
    draw.rectangle((x - 1, y, x + 1, 51), fill=(90, 70, 45))
    leaf = (int(random.integers(20, 70)), int(random.integers(110, 150)), 45)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=leaf)
    for _ in range(5):  # lighter leaves
        dx, dy = random.uniform(-0.6 * radius, 0.6 * radius, size=2)
        spot = (x + dx - 2, y + dy - 2, x + dx + 2, y + dy + 2)
        draw.ellipse(spot, fill=(leaf[0] + 20, leaf[1] + 25, 60))
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def _truncate(path: Path) -> None:
    contents = path.read_bytes()
    path.write_bytes(contents[: len(contents) // 2])


def _replace_with_page(path: Path) -> None:
    path.write_text("<html><body>404 Not Found</body></html>")


# What can be wrong with a file, in turn.
_DAMAGES: tuple[Callable[[Path], None], ...] = (Path.unlink, _truncate, _replace_with_page)
