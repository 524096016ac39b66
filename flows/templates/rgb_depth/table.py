"""Writes a made-up table of scenes: a color picture, a noisy depth map, and what is to be found.

In every scene some red and some blue boards stand before a wall, and some red ones are only painted
on it. The mask is what is red and stands out. Color alone takes what is painted for a board; depth
alone takes a blue board for a red one.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

_PER_KIND = 2  # boards of each kind in a scene
_NOISE = 12.0  # of the depth that is measured, of 255
_HOLES = 0.02  # of its pixels that measure nothing
_KINDS = {  # (red, stands out)
    "wanted": (True, True),
    "painted": (True, False),
    "other": (False, True),
}
_PICTURES = ("rgb", "depth", "mask", "surface", "red", "near")


def write_table(folder: Path, rows: int = 480, seed: int = 7, side: int = 64) -> None:
    """Writes `scenes.parquet`; the same bytes for the same seed.

    The columns `red` and `near`, which nothing reads, are masks of all that is red and of all that
    stands out: what a model could find at best that sees one of the pictures only.

    Args:
        folder: Where the table goes.
        rows: Scenes.
        seed: Of everything that is random.
        side: Height and width of the pictures in pixels.
    """
    random = np.random.default_rng(seed)
    scenes = [_scene(side, random) for _ in range(rows)]
    table = {
        "scene": [f"S{index:06d}" for index in range(rows)],
        **{name: [_png(scene[name]) for scene in scenes] for name in _PICTURES},
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), folder / "scenes.parquet", row_group_size=200)


def _scene(side: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the pictures of a scene, uint8 [side, side] or [side, side, 3]."""
    y, x = np.mgrid[0:side, 0:side] / side
    slope_x, slope_y = random.uniform(-30, 30, size=2)
    surface = random.uniform(150, 190) + slope_x * (x - 0.5) + slope_y * (y - 0.5)
    rgb = np.empty((side, side, 3))
    rgb[:] = random.uniform(90, 160, size=3)
    rgb += 25 * (y[..., None] - 0.5)
    red, near = np.zeros((side, side), bool), np.zeros((side, side), bool)
    order = random.permutation([kind for kind in _KINDS for _ in range(_PER_KIND)])
    for kind in order:
        is_red, stands_out = _KINDS[str(kind)]
        board = _board(x, y, random)
        color = random.uniform((170, 20, 20), (230, 70, 70))
        rgb[board] = color if is_red else color[::-1]
        # What is painted lies on whatever is there: the wall, or a board.
        red[board] = is_red
        if stands_out:
            surface[board] -= random.uniform(50, 90)
            near[board] = True
    measured = surface + random.normal(0, _NOISE, surface.shape)
    measured[random.random(surface.shape) < _HOLES] = 0
    return {
        "rgb": _pixels(rgb),
        "depth": _pixels(measured),
        "mask": _pixels(255 * (red & near)),
        "surface": _pixels(surface),
        "red": _pixels(255 * red),
        "near": _pixels(255 * near),
    }


def _board(x: np.ndarray, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns where a rectangle or an ellipse lies, bool like `x`."""
    center_x, center_y = random.uniform(0.12, 0.88, size=2)
    half_width, half_height = random.uniform(0.07, 0.15, size=2)
    across, down = abs(x - center_x) / half_width, abs(y - center_y) / half_height
    is_rectangle = random.random() < 0.5
    size = np.maximum(across, down) if is_rectangle else across**2 + down**2
    return np.asarray(size < 1)


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    # The lightest compression: the noise of the depth does not become smaller for longer.
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()
