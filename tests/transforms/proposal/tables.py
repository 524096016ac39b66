"""Small raw tables that nobody prepared."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from PIL import Image

ROWS = 400


def write_members(folder: Path) -> Path:
    """Writes a CSV with something of everything that a text can be; `left` follows from `age`."""
    random = np.random.default_rng(0)
    age = random.integers(18, 90, ROWS)
    left = age + random.normal(0, 8, ROWS) > 55
    words = ["good", "bad", "late", "early", "paid", "missed", "called", "wrote", "often", "never"]
    zips = [f"{number:05d}" for number in random.integers(100, 99_999, 60)]
    table = {
        "member": [f"C{index:05d}" for index in range(ROWS)],
        "age": age,
        "income": [f"{10 * index + 0.5}" if index % 8 else "NA" for index in range(ROWS)],
        "Zip Code": random.choice(zips, ROWS),
        "city": random.choice(["Ghent", "Graz", "Porto"], ROWS),
        "smoker": random.choice(["yes", "no"], ROWS),
        "fee": [f"${1_000 + 7 * index:,}.50" for index in range(ROWS)],
        "joined": [f"{1 + index % 12}/{1 + index % 28}/2{index % 9}" for index in range(ROWS)],
        "note": [" ".join(random.choice(words, 8)) for _ in range(ROWS)],
        "plan": ["basic"] * ROWS,
        "reason_code": np.where(left, 7, 3),
        "left": np.where(left, "yes", "no"),
    }
    path = folder / "members.csv"
    pacsv.write_csv(pa.table(table), path)
    return path


def write_items(folder: Path) -> Path:
    """Writes a Parquet file with pictures, lists and series."""
    brightness = np.random.default_rng(0).random(ROWS)
    table = {
        "item_id": np.arange(ROWS) + 1_000,
        "photo": [png(int(255 * share)) for share in brightness],
        "tags": [["new", "big"][: 1 + index % 2] for index in range(ROWS)],
        "signal": [[share + step for step in range(24)] for share in brightness],
        "history": [[share] * (5 + index % 9) for index, share in enumerate(brightness)],
        "corner": [[share, 1 - share] for share in brightness],
        "price": brightness * 100 + np.random.default_rng(1).normal(0, 5, ROWS),
    }
    path = folder / "items.parquet"
    pq.write_table(pa.table(table), path, row_group_size=100)
    return path


def write_events(folder: Path) -> Path:
    """Writes a day a folder, whose rows are in the order of their times."""
    place = folder / "events"
    values = np.random.default_rng(0).normal(size=(4, 100))
    for day, x in enumerate(values):
        path = place / f"day=2026-01-0{day + 1}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        times = [datetime(2026, 1, day + 1) + timedelta(minutes=14 * i) for i in range(len(x))]
        names = [f"{day}-{index}" for index in range(len(x))]
        noise = np.random.default_rng(day).normal(size=len(x))
        pq.write_table(pa.table({"event": names, "at": times, "x": x, "y": x + noise}), path)
    return place


def write_visits(folder: Path) -> Path:
    """Writes a CSV with several rows of every patient."""
    random = np.random.default_rng(0)
    table = {
        "visit_id": 7 * np.arange(ROWS) + 3,
        "patient_id": random.integers(0, 60, ROWS),
        "pressure": random.normal(120, 10, ROWS).round(1),
        "grade": random.choice(["a", "b", "c"], ROWS),
    }
    path = folder / "visits.csv"
    pacsv.write_csv(pa.table(table), path)
    return path


def png(gray: int) -> bytes:
    """Returns a PNG of 30 x 40 pixels."""
    file = io.BytesIO()
    Image.fromarray(np.full((40, 30, 3), gray, np.uint8)).save(file, "PNG")
    return file.getvalue()
