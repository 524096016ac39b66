"""Writes a made-up long table of daily temperatures: one row a day, a date and a number.

A slow trend, the seasons of the year, weather that comes and goes in twelve days, and noise. The
forecast that tomorrow is as today is off by the weather, which a window of days shows.
"""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import numpy as np

_FIRST_DAY = datetime.date(1981, 1, 1)
_TREND = 0.3  # degrees a year
_SEASON = 5.0  # degrees up and down from the mean of the year
_WEATHER = 4.0  # degrees up and down
_WEATHER_DAYS = 12.0
_NOISE = 1.0  # standard deviation, degrees


def write_table(folder: Path, *, rows: int = 3_650, seed: int = 7) -> None:
    """Writes the table, one CSV file.

    Args:
        folder: Where to.
        rows: Days from 1981-01-01 on.
        seed: The same seed gives the same table.
    """
    day = np.arange(rows)
    noise = np.random.default_rng(seed).normal(0.0, _NOISE, rows)
    temperatures = (
        11.0
        + _TREND * day / 365.25
        + _SEASON * np.cos(2 * np.pi * day / 365.25)
        + _WEATHER * np.sin(2 * np.pi * day / _WEATHER_DAYS)
        + noise
    )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "temperatures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Date", "Temp"])
        for index, temperature in enumerate(temperatures):
            date = _FIRST_DAY + datetime.timedelta(index)
            writer.writerow([date.isoformat(), f"{temperature:.1f}"])
