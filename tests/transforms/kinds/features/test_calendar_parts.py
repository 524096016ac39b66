from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.conftest import Table
from transforms.analysis.freeze import analyze
from transforms.columns.unusable import not_a_datetime
from transforms.contract.columns.datetimes import DATETIME_PATTERN, WIDTHS, Datetime
from transforms.kinds.features import calendar_parts
from transforms.kinds.requests import Fitted, Moments

EPOCH = datetime(1970, 1, 1)
# Days since 1970 as they are, of training rows from the first to the last year.
UNSCALED = Fitted({}, {"t": Moments(*(tf.constant([x]) for x in (0.0, 1.0, -1e6, 1e7)))}, {})
PRECISIONS = ("minutes", "seconds", "milliseconds", "microseconds")


def encoded(text: str, *parts: str) -> list[float]:
    spec = Datetime(kind="datetime", parts=parts or tuple(WIDTHS))
    raw = calendar_parts.usable(spec, tf.constant([text]))
    return calendar_parts.encode("t", spec, raw, UNSCALED).numpy()[0].tolist()


def circle(share: float) -> list[float]:
    return [math.sin(2 * math.pi * share), math.cos(2 * math.pi * share)]


@settings(deadline=None)  # TensorFlow's first call is slow
@given(
    moment=st.datetimes(datetime(1, 1, 2), datetime(9998, 12, 30)),
    offset=st.none() | st.integers(-86_399, 86_399),
    precision=st.sampled_from(PRECISIONS),
    separator=st.sampled_from("T "),
)
def test_a_text_is_parsed_as_python_does(
    moment: datetime, offset: int | None, precision: str, separator: str
) -> None:
    if offset is not None:
        moment = moment.replace(tzinfo=timezone(timedelta(seconds=offset)))
    text = moment.isoformat(separator, precision)
    utc = datetime.fromisoformat(text)
    if offset is not None:
        utc = utc.astimezone(UTC).replace(tzinfo=None)
    days = (utc - EPOCH) / timedelta(days=1)
    year = datetime(utc.year, 1, 1), datetime(utc.year, 12, 31)
    month_days = (utc.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    expected = [
        *circle(days % 1),
        *circle(utc.weekday() / 7),
        *circle((utc.day - 1) / month_days.day),
        *circle((utc.timetuple().tm_yday - 1) / ((year[1] - year[0]).days + 1)),
        days,
    ]
    assert encoded(text) == pytest.approx(expected, rel=1e-7, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1970-01-02", 1.0),
        ("1970-01-01T06:00Z", 0.25),
        ("1970-01-01t06:00:00z", 0.25),
        ("1970-01-01 06:00:00,000+01", 0.25 - 1 / 24),
        ("1970-01-01T06:00-0130", 0.25 + 1.5 / 24),
        ("1970-01-01T12:00:00.5000000009", 0.5 + 0.5 / 86_400),
        ("0001-01-01T00:00+01:00", -719_162 - 1 / 24),
        ("9999-12-31T23:00-01:00", 2_932_897.0),
        ("2024-02-29", 19_782.0),
        ("2000-02-29", 11_016.0),
    ],
)
def test_every_way_of_writing_a_time_is_read(text: str, days: float) -> None:
    assert encoded(text, "trend") == pytest.approx([days], rel=1e-7)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-13-45", "2026-02-30", "2026-02-29", "1900-02-29", "2026-04-31", "2026-00-01"),
        *("0000-01-01", "10000-01-01", "2026-1-31", "20260131", "31.01.2026", " 2026-01-31"),
        *("2026-01-31T24:00", "2026-01-31T05", "2026-01-31T05:60", "2026-01-31T05:00:60"),
        *("2026-01-31+01:00", "2026-01-31T05:00+24:00", "2026-01-31T05:00 UTC", "NaT"),
        "2026-01-31\n",
    ],
)
def test_what_is_no_date_is_told_in_reading_and_missing_in_the_graph(text: str) -> None:
    assert not_a_datetime(np.array([text.encode()], object), np.array([False])) == {
        0: "not_a_datetime"
    }
    assert encoded(text) == [0.0] * 9


@settings(deadline=None)
@given(
    year=st.integers(0, 9999),
    month=st.integers(0, 13),
    day=st.integers(0, 32),
)
def test_a_date_is_one_exactly_if_it_is_in_the_calendar(year: int, month: int, day: int) -> None:
    try:
        datetime(year, month, day)
        is_date = True
    except ValueError:
        is_date = False
    assert bool(re.search(DATETIME_PATTERN, f"{year:04}-{month:02}-{day:02}")) == is_date


def test_parts_come_in_the_declared_order() -> None:
    midnight, thursday = [0.0, 1.0], circle(3 / 7)
    assert encoded("1970-01-01", "day_of_week", "trend", "time_of_day") == pytest.approx(
        [*thursday, 0.0, *midnight], abs=1e-6
    )


START = datetime(2026, 3, 1)
TIMES = [None if i % 10 == 9 else START + timedelta(hours=7 * i) for i in range(40)]
ROWS: dict[str, list[Any]] = {
    "id": list(range(40)),
    "fold": ["train"] * 36 + ["validation", "test"] * 2,
    "at": [time and time.isoformat() for time in TIMES],
    "area": list(range(40)),
    "price": [float(i) for i in range(40)],
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, np.ndarray]]:
    """Returns a function that sends raw values through a frozen graph."""
    from tests.transforms.conftest import analyzed, frozen_transform

    declaration: dict[str, Any] = {
        "name": "times",
        "split": {"by": "column", "column": "fold"},
        "features": {
            "at": {"kind": "datetime", "parts": ["trend"], "missing": "missing_indicator"},
            "cycles": {"kind": "datetime", "column": "at", "parts": ["time_of_day"]},
            "slot": {"kind": "categorical", "column": "at"},
            "area": {"kind": "numeric"},
            "number": {"kind": "categorical", "column": "area"},
        },
        "targets": {"price": {"kind": "numeric"}},
    }
    return frozen_transform(analyzed(tmp_path_factory, declaration, ROWS))


def test_trend_is_standardized_by_the_training_rows(outputs: Callable[..., Any]) -> None:
    days = np.array([(t - EPOCH) / timedelta(days=1) for t in TIMES[:36] if t is not None])
    trend = outputs(at=["2026-03-01T00:00", "2026-03-05T12:00"])["at"][:, 0]
    expected = (np.array([20_513.0, 20_517.5]) - days.mean()) / days.std()
    assert trend == pytest.approx(expected, rel=1e-3)
    # Of two times a minute apart float32 would see no difference.
    near = outputs(at=["2026-03-05T12:00", "2026-03-05T12:01"])["at"][:, 0]
    assert near[1] - near[0] == pytest.approx(1 / 1440 / days.std(), rel=1e-2)


def test_a_time_beyond_the_training_rows_is_their_first_or_last(
    outputs: Callable[..., Any],
) -> None:
    known = [time for time in TIMES[:36] if time is not None]
    ends = [known[0].isoformat(), known[-1].isoformat()]
    inside = outputs(at=ends)["at"][:, 0]
    beyond = outputs(at=["1999-01-01", "2099-01-01"])["at"][:, 0]
    assert beyond == pytest.approx(inside, abs=1e-3)


def test_missing_and_invalid_times_are_the_mean_and_are_indicated(
    outputs: Callable[..., Any],
) -> None:
    stored = outputs(at=["", "2026-02-30", "2026-03-05"])
    assert stored["at"][:2].tolist() == [[0.0], [0.0]]
    assert stored["at__missing"].tolist() == [1.0, 1.0, 0.0]
    assert stored["cycles"].tolist() == [[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]


def test_one_column_feeds_features_of_several_kinds(outputs: Callable[..., Any]) -> None:
    stored = outputs(
        **{"at": ["2026-03-01T00:00:00", "never"], "area": [3.0, 3.0], "area:string": ["3", "77"]}
    )
    ids = stored["slot"].tolist()
    assert ids[0] != ids[1]  # known, and unknown, but not missing
    assert 0 not in ids
    assert stored["area"][0] == stored["area"][1]
    assert stored["number"][0] != stored["number"][1]


def test_a_time_that_cannot_be_used_stays_for_the_other_features_of_its_column(
    make_table: Callable[..., Table],
) -> None:
    from transforms.reading.batches import BatchReader
    from transforms.shards.applying import GraphApplier
    from transforms.source.scan import open_filesystem, scan
    from transforms.source.units import plan_units

    table = make_table(
        ROWS | {"at": ["2026-03-01", "never"] * 20},
        split={"by": "column", "column": "fold"},
        features={
            "slot": {"kind": "categorical", "column": "at"},
            "at": {"kind": "datetime", "parts": ["time_of_day"], "invalid": "default"},
        },
        targets={"price": {"kind": "numeric"}},
    )
    job = table.job()
    analyze(job.model_dump_json())
    filesystem, _ = open_filesystem(table.pipeline.source.path)
    (partition,) = scan(table.pipeline.source).partitions
    (unit,) = plan_units(partition, format_="parquet", filesystem=filesystem, at_least=1)
    (batch,) = BatchReader(table.pipeline).read(unit, 100)
    graph = job.folders().transform(job.transform) / "graph"
    stored = GraphApplier.shared(table.pipeline, graph).apply(batch)
    assert batch.replaced == {("at", "not_a_datetime"): 20}
    assert set(stored["slot"].tolist()) == {1, 2}
    assert stored["at"][:2].tolist() == [[0.0, 1.0], [0.0, 0.0]]
