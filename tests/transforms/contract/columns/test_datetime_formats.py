from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.columns.unusable import respelt
from transforms.contract.columns.datetime_formats import check_format, respelling
from transforms.contract.columns.datetimes import Datetime
from transforms.contract.spec import RuleBroken
from transforms.kinds.features.calendar_parts import usable

DAYS = (
    *("%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d-%b-%Y", "%B %d, %Y", "%a, %d %b %Y"),
    *("%m/%d/%y", "%A|%d. %B '%y", "100%% %Y (%m) %d+"),
)
TIMES = ("", " %H:%M", "T%H.%M.%S", " %I:%M %p", " %H:%M:%S.%f", " at %I:%M:%S%p %z", " %H:%M%z")
SPELLINGS = {"": "%Y-%m-%d", "M": " %H:%M", "S": ":%S", "f": ".%f", "z": "%z"}


def respelt_twice(text: str, format_: str) -> str:
    """Returns a text as reading and the graph respell it, which is the same."""
    read = respelt(pa.array([text.encode()], pa.large_binary()), respelling(format_))[0].as_py()
    spec = Datetime(kind="datetime", format=format_)
    graph = usable(spec, tf.constant([text])).numpy()[0]
    assert graph in (read, b"")
    return str(graph.decode())


@settings(deadline=None)  # TensorFlow's first call is slow
@given(
    moment=st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),
    day=st.sampled_from(DAYS),
    time=st.sampled_from(TIMES),
    offset=st.integers(-1439, 1439),
)
def test_what_strftime_writes_is_the_same_date_in_iso_8601(moment, day, time, offset):
    if "%y" in day:
        moment = moment.replace(year=1969 + moment.year % 100, day=min(moment.day, 28))
    format_ = day + time
    if "%z" in format_:
        moment = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    iso = "".join(spelling for part, spelling in SPELLINGS.items() if f"%{part}" in f"{format_}%")
    assert respelt_twice(moment.strftime(format_), format_) == moment.strftime(iso)


@pytest.mark.parametrize(
    ("format_", "text", "iso"),
    [
        ("%d/%m/%Y", "1/2/2026", "2026-02-01"),
        ("%m/%d/%Y %I:%M %p", "1/31/2026 5:04 pm", "2026-01-31 17:04"),
        ("%m/%d/%Y %I:%M %p", "1/31/2026 12:04 AM", "2026-01-31 00:04"),
        ("%m/%d/%Y %I:%M %p", "1/31/2026 12:04 PM", "2026-01-31 12:04"),
        ("%d-%b-%y", "01-JAN-69", "1969-01-01"),
        ("%d-%b-%y", "01-may-68", "2068-05-01"),
        ("%d/%m/%Y", "2026-02-01", "2026-02-01"),  # ISO 8601 always is one
    ],
)
def test_texts_are_read_as_people_and_spreadsheets_write_them(format_, text, iso):
    assert respelt_twice(text, format_) == iso


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("%d/%m/%Y", "31/02/2026"),
        ("%d/%m/%Y", "1/31/2026"),
        ("%d/%m/%Y", "1.2.2026"),
        ("%d/%m/%Y", " 1/2/2026"),
        ("%d/%m/%Y", "1/2/2026 05:00"),
        ("%d/%m/%Y %H:%M", "1/2/2026 24:00"),
        ("%m/%d/%Y %I:%M %p", "1/31/2026 13:04 PM"),
        ("%d-%b-%Y", "01-mai-2026"),
        ("%d.%m.%Y", "01x02x2026"),
    ],
)
def test_what_is_in_no_calendar_or_another_format_is_no_date(format_, text):
    assert respelt_twice(text, format_) == ""


@pytest.mark.parametrize(
    "format_",
    [
        *("", "%Y-%m", "%Y-%m-%d-%y", "%Y-%m-%b-%d", "%Y %j %d %m", "%Y-%m-%d %", "%Y-%m-%d %Q"),
        *("%Y-%m-%d %H", "%Y-%m-%d %M", "%Y-%m-%d %I:%M", "%Y-%m-%d %H:%M %p", "%Y-%m-%d %z"),
        *("%Y-%m-%d %H:%M.%f", "%Y-%d-%m", "%Y-%d-%mT%H:%M:%S%z"),
    ],
)
def test_a_format_says_one_day_and_one_time_or_none_and_iso_8601_is_itself(format_):
    with pytest.raises(RuleBroken):
        check_format(format_)


def test_a_format_may_be_iso_8601():
    for format_ in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M"):
        assert check_format(format_) == format_
