"""Writes a made-up table of flats for sale, with damaged rows in it.

Four independent draws make a flat, and each shows in one kind of column only, so that a model has
to read all of them:

- how sought-after its city is: `city` (categorical);
- how large it is: `area` (numeric), with `floor` beside it, which is unknown for some;
- in what condition it is: the words of `description` (text);
- how green its surroundings are: the trees and the lawn in `photo` (image).

Small, well-kept flats among trees in sought-after cities sell fast; the price follows the size,
the city, the condition and the trees. Exactly 1 % of the rows are damaged, by every kind of damage
in `_DAMAGES` in turn.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
_SIDE = 64  # pixels
_ROWS_IN_GROUP = 200  # several row groups a file, as real tables have
_PNG_EVERY = 8  # the other photos are JPEG
_FLOOR_UNKNOWN = 0.08
_HUGE = 30_000  # pixels a side, as a damaged header claims

# City: (demand, price of a square metre in thousands)
_CITIES = {
    "Amsterdam": (1.3, 7.5),
    "Berlin": (0.9, 5.5),
    "Copenhagen": (1.5, 7.0),
    "Genoa": (-1.2, 2.2),
    "Lisbon": (0.6, 4.6),
    "Ostrava": (-1.4, 1.8),
    "Porto": (-0.1, 3.4),
    "Tallinn": (-0.5, 3.0),
}
_GOOD = ["renovated", "bright", "quiet", "spotless", "modern", "elegant", "airy", "insulated"]
_BAD = ["worn", "dark", "noisy", "damp", "dated", "cramped", "draughty", "neglected"]
_PLAIN = [
    "flat",
    "with",
    "kitchen",
    "bath",
    "and",
    "hall",
    "near",
    "the",
    "station",
    "shops",
    "school",
    "heating",
    "balcony",
    "cellar",
    "from",
    "owner",
    "lift",
    "bus",
    "two",
    "rooms",
    "storage",
    "parking",
]

_SCHEMA = pa.schema(
    [
        ("listing_id", pa.string()),
        ("city", pa.string()),
        ("area", pa.float64()),
        ("floor", pa.float64()),
        ("description", pa.string()),
        ("photo", pa.binary()),
        ("sold_fast", pa.int64()),
        ("price", pa.float64()),
    ]
)

Row = dict[str, Any]


def write_table(folder: Path, rows: int = 2000, seed: int = 7) -> None:
    """Writes `day=.../part-0.parquet` for three days; the same bytes for the same seed.

    Args:
        folder: Where the days' folders go.
        rows: Rows in all.
        seed: Of everything that is random.
    """
    random = np.random.default_rng(seed)
    table = [_row(index, random) for index in range(rows)]
    damaged = random.choice(rows, size=rows // 100, replace=False)
    for turn, index in enumerate(damaged):
        column, damage = _DAMAGES[turn % len(_DAMAGES)]
        table[index][column] = damage(table[index][column])
    for day, part in zip(DAYS, np.array_split(np.arange(rows), len(DAYS)), strict=True):
        path = folder / f"day={day}" / "part-0.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = pa.Table.from_pylist([table[index] for index in part], schema=_SCHEMA)
        pq.write_table(columns, path, row_group_size=_ROWS_IN_GROUP)


def _row(index: int, random: np.random.Generator) -> Row:
    city = str(random.choice(list(_CITIES)))
    demand, metre_price = _CITIES[city]
    size, condition, green = (random.normal() for _ in range(3))
    area = 65 * np.exp(0.4 * size)
    chance = 1 / (1 + np.exp(-2.2 * (demand + condition + green - 0.7 * size)))
    value = 1 + 0.12 * condition + 0.12 * green
    return {
        "listing_id": f"L{index:06d}",
        "city": city,
        "area": round(area, 1),
        "floor": None if random.random() < _FLOOR_UNKNOWN else float(random.integers(0, 12)),
        "description": _describe(condition, random),
        "photo": _photo(green, "PNG" if index % _PNG_EVERY == 0 else "JPEG", random),
        "sold_fast": int(random.random() < chance),
        "price": round(area * metre_price * value * np.exp(0.05 * random.normal()), 1),
    }


def _describe(condition: float, random: np.random.Generator) -> str:
    """Writes a text with the more words of praise, the better the condition is."""
    praise = 1 / (1 + np.exp(-1.8 * condition))
    telling = [str(random.choice(_GOOD if random.random() < praise else _BAD)) for _ in range(6)]
    words = [*telling, *(str(word) for word in random.choice(_PLAIN, size=8))]
    random.shuffle(words)
    return " ".join(words).capitalize() + "."


def _photo(green: float, form: str, random: np.random.Generator) -> bytes:
    """Draws a house with the more trees and lawn around it, the greener its surroundings are."""
    share = 1 / (1 + np.exp(-1.5 * green))
    light = int(random.integers(-25, 25))  # the weather of the day, which says nothing
    picture = Image.new("RGB", (_SIDE, _SIDE), (150 + light, 185 + light, 225 + light))
    draw = ImageDraw.Draw(picture)
    lawn = (70 + light, 140 + light, 60 + light)
    asphalt = (125 + light, 120 + light, 120 + light)
    draw.rectangle((0, 46, _SIDE, _SIDE), fill=asphalt)
    draw.rectangle((0, 46, int(_SIDE * share), _SIDE), fill=lawn)
    left = int(random.integers(14, 24))
    wall = tuple(int(value) for value in random.integers(140, 230, size=3))
    draw.rectangle((left, 18, left + 26, 50), fill=wall)
    draw.polygon([(left - 3, 18), (left + 13, 6), (left + 29, 18)], fill=(120, 60, 50))
    for x in (left + 4, left + 16):
        for y in (23, 35):
            draw.rectangle((x, y, x + 6, y + 7), fill=(60, 70, 90))
    for _ in range(round(6 * share)):
        x, y = int(random.integers(0, _SIDE)), int(random.integers(34, 54))
        draw.rectangle((x - 1, y, x + 1, y + 8), fill=(90, 65, 45))
        draw.ellipse((x - 6, y - 9, x + 6, y + 3), fill=(40, 110 + light, 45))
    encoded = io.BytesIO()
    picture.save(encoded, form, **({"quality": 88} if form == "JPEG" else {}))
    return encoded.getvalue()


def _as(photo: bytes, form: str) -> bytes:
    encoded = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(encoded, form)
    return encoded.getvalue()


def _truncated(form: str) -> Callable[[bytes], bytes]:
    def damage(photo: bytes) -> bytes:
        encoded = _as(photo, form)
        return encoded[: len(encoded) // 2]

    return damage


def _huge_png(photo: bytes) -> bytes:
    """Claims a gigapixel in the header of a small PNG, with the header's checksum right."""
    encoded = _as(photo, "PNG")
    header = b"IHDR" + struct.pack(">II", _HUGE, _HUGE) + encoded[24:29]
    return encoded[:12] + header + struct.pack(">I", zlib.crc32(header)) + encoded[33:]


def _huge_jpeg(photo: bytes) -> bytes:
    """Claims a gigapixel in the frame header of a small JPEG."""
    encoded = _as(photo, "JPEG")
    frame = encoded.index(b"\xff\xc0") + 5
    return encoded[:frame] + struct.pack(">HH", _HUGE, _HUGE) + encoded[frame + 4 :]


def _becomes(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


# What can be wrong with a row: the column, and what happens to its value.
_DAMAGES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("photo", _truncated("JPEG")),
    ("photo", _truncated("PNG")),
    ("photo", _becomes(b"<html><body>404 Not Found</body></html>")),
    ("photo", _huge_png),
    ("photo", _huge_jpeg),
    ("photo", _becomes(None)),
    ("area", _becomes(float("inf"))),
    ("sold_fast", _becomes(None)),
    ("sold_fast", _becomes(2)),
    ("price", _becomes(None)),
    ("price", _becomes(float("-inf"))),
)
