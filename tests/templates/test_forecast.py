"""A long table to windows of 100 days to three forecasts, each better than knowing the last day."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.templates.project import Project, as_printed

pytestmark = pytest.mark.slow

LENGTH, HORIZON = 100, 7
TEST_FROM = "1989-01-01"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("forecast", tmp_path_factory.mktemp("forecast"))


@pytest.fixture(scope="module")
def series(project) -> tuple[list[str], np.ndarray]:
    with (project.folder / "data" / "temperatures.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [row["Date"] for row in rows], np.array([float(row["Temp"]) for row in rows])


@pytest.mark.parametrize(("target", "days"), [("in_1_day", 1), ("in_3_days", 3), ("in_7_days", 7)])
def test_every_horizon_beats_persistence_and_the_mean(project, series, target, days):
    dates, temperatures = series
    ends = np.array(
        [e for e in range(LENGTH - 1, len(dates) - HORIZON) if dates[e + 1] >= TEST_FROM]
    )
    record = project.record()
    assert len(ends) == record["rows"]["test"]
    later = temperatures[ends + days]
    persistence = np.abs(later - temperatures[ends]).mean()
    # A branch that is cut off, or reads the window in a wrong order, can give one number at best:
    # the error of the best one is the deviation from the median, some 4 degrees.
    constant = np.abs(later - np.median(later)).mean()
    # Noise alone makes an error of 0.8 degrees, persistence one of 1.6 to 5.
    assert record["metrics"][f"test_{target}_mae"] < 0.75 * min(persistence, constant)


def test_no_window_lies_in_two_splits(project):
    record = project.record()
    (file,) = (project.folder / "workspace" / "windows").glob("*/windows.json")
    counts = json.loads(file.read_text())
    assert counts["rows"] == 3_650
    assert counts["straddling"] == 2 * (HORIZON - 1)
    assert counts["windows"] == sum(record["rows"].values()) == 3_650 - LENGTH - HORIZON + 1 - 12
    (step,) = (step for step in record["steps"] if step["name"] == "windows")
    assert step["rows"] == 3_650
    assert "12 left out" in step["note"]


def test_every_day_with_enough_days_behind_it_gets_a_forecast(project, series):
    dates, temperatures = series
    forecast = pq.read_table(project.folder.parent / "forecast.parquet")
    assert forecast["window"].to_pylist() == dates[LENGTH - 1 :]
    assert forecast["error"].null_count == len(forecast)
    # The forecast of each day for the next lies about the next day, not about the day itself.
    tomorrow = np.array(forecast["in_1_day"])[:-1]
    today, next_day = temperatures[LENGTH - 1 : -1], temperatures[LENGTH:]
    assert np.abs(tomorrow - next_day).mean() < np.abs(tomorrow - today).mean()
