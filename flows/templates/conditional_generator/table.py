"""Writes a table of small drawings: the name of a shape, and a picture of it.

Every picture is drawn with its own position, size, turn, thickness of the line and brightness, so
that a name stands for many pictures, and no single one of them is the answer to it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

SIDE = 28  # pixels
ROWS = 3_000
WANTED = 40  # pictures of each shape
_FINER = 4  # drawn so many times larger, so that lines have soft edges
_TURN = 0.25  # radians at most, either way
_ROWS_IN_GROUP = 500

Point = tuple[float, float]
Line = list[Point]


def _polygon(corners: int, first: float) -> list[Line]:
    angles = [first + 2 * math.pi * corner / corners for corner in range(corners + 1)]
    return [[(math.cos(angle), math.sin(angle)) for angle in angles]]


# Lines in a square from -1 to 1, y downwards.
SHAPES: dict[str, Callable[[], list[Line]]] = {
    "bars": lambda: [[(-0.9, y), (0.9, y)] for y in (-0.6, 0.6)],
    "circle": lambda: _polygon(24, 0.0),
    "cross": lambda: [[(-0.8, -0.8), (0.8, 0.8)], [(-0.8, 0.8), (0.8, -0.8)]],
    "square": lambda: _polygon(4, math.pi / 4),
    "triangle": lambda: _polygon(3, -math.pi / 2),
}


def draw(shape: str, random: np.random.Generator) -> Image.Image:
    """Draws a shape, white on black, 28x28 pixels."""
    side = SIDE * _FINER
    size = side * random.uniform(0.26, 0.38)
    x, y = side / 2 + side * random.uniform(-0.08, 0.08, 2)
    turn = random.uniform(-_TURN, _TURN)
    width = round(_FINER * random.uniform(2.0, 3.5))
    image = Image.new("L", (side, side))
    pencil = ImageDraw.Draw(image)
    cos, sin = size * math.cos(turn), size * math.sin(turn)
    for line in SHAPES[shape]():
        points = [(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in line]
        pencil.line(points, fill=int(random.integers(200, 256)), width=width, joint="curve")
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def write_table(folder: Path, rows: int = ROWS, seed: int = 11) -> None:
    """Writes `drawings.parquet` with the columns id, shape and picture (PNG bytes).

    Beside it goes `names.parquet`, without pictures: what to make pictures of.
    """
    random = np.random.default_rng(seed)
    shapes = [str(shape) for shape in random.choice(list(SHAPES), rows)]
    table = pa.table(
        {
            "id": [f"D{row:05d}" for row in range(rows)],
            "shape": shapes,
            "picture": [_png(draw(shape, random)) for shape in shapes],
        }
    )
    wanted = [(f"{shape}-{number:02d}", shape) for shape in SHAPES for number in range(WANTED)]
    names = pa.table(dict(zip(("id", "shape"), map(list, zip(*wanted, strict=True)), strict=True)))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "drawings.parquet", row_group_size=_ROWS_IN_GROUP)
    pq.write_table(names, folder / "names.parquet")


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
