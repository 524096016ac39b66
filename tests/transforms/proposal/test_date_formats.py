from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest

from transforms.proposal.date_formats import date_format

DAYS = [date(2025, 12, 1) + timedelta(days=day) for day in range(60)]
MOMENTS = [datetime(2025, 12, 1, 5) + timedelta(hours=7 * step) for step in range(60)]


@pytest.mark.parametrize(
    "format_",
    [
        *("%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%Y", "%B %d, %Y", "%m/%d/%y"),
        *("%Y/%m/%d %H:%M", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%y %H:%M"),
    ],
)
def test_dates_tell_their_format(format_):
    texts = [moment.strftime(format_) for moment in MOMENTS]
    assert date_format(pa.array(texts, pa.large_string())) == (format_, 1.0)


@pytest.mark.parametrize("format_", ["%d/%m/%Y", "%m/%d/%Y"])
def test_the_order_of_rows_tells_days_from_months(format_):
    days = [date(2026, month, day) for month in (10, 11) for day in range(1, 13)]
    texts = [day.strftime(format_) for day in days]
    assert date_format(pa.array(texts, pa.large_string())) == (format_, 1.0)


def test_iso_8601_needs_no_format_and_codes_have_none():
    iso = pa.array([None, *(str(day) for day in DAYS)], pa.large_string())
    assert date_format(iso) == (None, 1.0)
    assert date_format(pa.array(["12-05-07", "1/2", "A/5/2026"], pa.large_string())) == (None, 0.0)
    assert date_format(pa.nulls(3, pa.large_string())) == (None, 0.0)


def test_some_texts_may_be_spelt_otherwise():
    texts = [day.strftime("%d.%m.%Y") for day in DAYS]
    assert date_format(pa.array(["unknown", *texts], pa.large_string())) == ("%d.%m.%Y", 60 / 61)
