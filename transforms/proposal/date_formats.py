"""The format in which a column's texts spell dates, if they are not in ISO 8601."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from transforms.columns.unusable import respelt
from transforms.contract.columns.datetime_formats import respelling
from transforms.contract.columns.datetimes import DATETIME_PATTERN

# Of formats that fit equally well the first is taken. Years of two digits come last: codes such as
# 12-05-07 look like such dates.
_DAYS = (
    *("%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y"),
)
_SHORT_DAYS = ("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = [day + time for day in (*_DAYS, *_SHORT_DAYS) for time in _TIMES]
_SORTED = {day + time for day in _DAYS[:2] for time in _TIMES[:3]}
_FIRST = 100  # texts that leave most formats out
_ENOUGH = 0.95  # of the texts


def date_format(texts: pa.Array) -> tuple[str | None, float]:
    """Returns the format that most texts are in, and their share; None is ISO 8601.

    Where the day may come before the month or after it, as in 05/06/2026, rows that are in the
    order of one of the readings tell which it is; if none does, the month comes first.

    Args:
        texts: The values, null where one is missing, large_string.
    """
    texts = texts.drop_null()
    if not len(texts):
        return None, 0.0
    first = texts.slice(0, _FIRST)
    able = [
        (format_, _share(texts, format_))
        for format_ in (None, *(f for f in _FORMATS if _looks_like(first, f)))
        if _share(first, format_) >= _ENOUGH
    ]
    if not able:
        return None, _share(texts, None)
    best = max(share for _, share in able)
    fitting = [format_ for format_, share in able if share == best]
    return max(fitting, key=lambda format_: _order(texts, format_)), best


def is_sorted_by_time(format_: str | None) -> bool:
    """Returns whether texts of one length in this format are in the order of their times."""
    return format_ is None or format_ in _SORTED


def _looks_like(texts: pa.Array, format_: str) -> bool:
    """Returns whether enough texts have a format's form, be they dates or not; that is quick."""
    return _mean(pc.match_substring_regex(texts, respelling(format_)[0][0])) >= _ENOUGH


def _share(texts: pa.Array, format_: str | None) -> float:
    return _mean(_dates(texts, format_)[1])


def _mean(is_so: pa.Array) -> float:
    return float(pc.mean(is_so.cast(pa.float64())).as_py())


def _order(texts: pa.Array, format_: str | None) -> bool:
    """Returns whether the rows' dates rise or fall from the first to the last one."""
    iso, is_date = _dates(texts, format_)
    iso = iso.filter(is_date)
    before, after = iso.slice(0, len(iso) - 1), iso.slice(1)
    return any(
        bool(pc.all(compare(after, before)).as_py()) and iso[0].as_py() != iso[-1].as_py()
        for compare in (pc.greater_equal, pc.less_equal)
    )


def _dates(texts: pa.Array, format_: str | None) -> tuple[pa.Array, pa.Array]:
    """Returns texts in ISO 8601, and which of them are dates."""
    iso = respelt(texts, respelling(format_) if format_ else ())
    return iso, pc.match_substring_regex(iso, DATETIME_PATTERN)
