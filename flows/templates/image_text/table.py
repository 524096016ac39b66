"""Writes a made-up table of holiday postcards and whether the sentiment is positive.

Two independent draws make a postcard: the weather of its photo and the mood of its words. Both
count alike; a postcard that they lift above 0 is positive. Rain and good company make up for each
other, so that neither side is enough.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

_SIDE = 128  # pixels
_HORIZON = 84
_GRAY, _BLUE = np.array([120.0, 125.0, 130.0]), np.array([90.0, 165.0, 240.0])
_CLOUDS = 8  # under a sky without any sun
_GOOD = "wonderful delicious charming friendly relaxing splendid cosy cheerful"
_BAD = "dreadful tasteless noisy rude exhausting gloomy dirty boring"
_PLAIN = (
    "we went to the old town and then by train along coast with our bags a small hotel near "
    "station had room for two nights breakfast was at eight museum market harbour church walk "
    "bus ticket street after lunch before dinner children played cards wrote this letter on "
    "table next week back home greetings from all of us"
)
_TELLING = 12  # words of each text that tell its mood
_FEWEST, _MOST = 60, 100  # words of a text


def write_table(folder: Path, rows: int = 2000, seed: int = 7) -> None:
    """Writes `postcards.parquet`; the same bytes for the same seed.

    The columns `sun` (from -1 to 1) and `mood` (how many more of the telling words are good than
    bad) are what was drawn and written; no feature reads them.

    Args:
        folder: Where the file goes.
        rows: Rows in all.
        seed: Of everything that is random.
    """
    random = np.random.default_rng(seed)
    sun = random.uniform(-1, 1, size=rows)
    good = random.binomial(_TELLING, random.uniform(size=rows))
    mood = 2 * good - _TELLING
    lift = sun / sun.std() + (mood + random.uniform(-0.5, 0.5, size=rows)) / mood.std()
    table = {
        "postcard": [f"P{index:06d}" for index in range(rows)],
        "photo": pa.array([_photo(share, random) for share in sun], pa.binary()),
        "text": [_text(count, random) for count in good],
        "positive": (lift > 0).astype(np.int64),
        "sun": sun,
        "mood": mood,
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), folder / "postcards.parquet", row_group_size=200)


def _photo(sun: float, random: np.random.Generator) -> bytes:
    """Draws hills under a sky that is the bluer and has the fewer clouds, the sunnier it is."""
    share = (sun + 1) / 2
    sky = _GRAY + share * (_BLUE - _GRAY) + random.normal(scale=6, size=3)
    picture = Image.new("RGB", (_SIDE, _SIDE), _color(sky))
    draw = ImageDraw.Draw(picture)
    radius = 4 + 10 * share
    x, y = random.uniform(20, _SIDE - 20), random.uniform(18, 40)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 225, 90))
    for _ in range(round(_CLOUDS * (1 - share))):
        x, y, gray = random.uniform(0, _SIDE), random.uniform(8, 60), random.uniform(85, 115)
        for puff in range(4):
            left, top = x + 9 * puff - 22, y + random.uniform(-4, 4) - 8
            draw.ellipse((left, top, left + 18, top + 16), fill=_color(np.full(3, gray)))
    for depth in range(3):  # the hills, which say nothing
        green = random.uniform((20, 60, 20), (110, 160, 90))
        x, top = random.uniform(0, _SIDE), _HORIZON + 10 * depth + random.uniform(-8, 8)
        draw.ellipse((x - 100, top, x + 100, top + 120), fill=_color(green))
        draw.rectangle((0, top + 22, _SIDE, 2 * _SIDE), fill=_color(green))
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=88)
    return encoded.getvalue()


def _color(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in np.clip(values, 0, 255))


def _text(good: int, random: np.random.Generator) -> str:
    words = [
        *random.choice(_GOOD.split(), size=good),
        *random.choice(_BAD.split(), size=_TELLING - good),
    ]
    length = int(random.integers(_FEWEST, _MOST + 1))
    words += [*random.choice(_PLAIN.split(), size=length - len(words))]
    random.shuffle(words)
    return " ".join(words).capitalize() + "."
