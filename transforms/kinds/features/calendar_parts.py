"""Dates and times to their places in the cycles of the calendar, and to days since 1970.

The graph parses the text itself, in whole numbers: float32 cannot hold the seconds since 1970.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from transforms.contract.columns.datetimes import DATETIME_PATTERN, WIDTHS, Datetime, DatetimePart
from transforms.kinds.requests import Fitted, Learnt, Moments, MomentsRequest, Request

_ANY = "1970-01-01T00:00"  # stands in for a missing value, whose numbers are replaced afterwards
_MINUTES_END = 16  # of a text with a time
_TO_THE_END = 1 << 30  # more bytes than a text has
_DAY_SECONDS = 86_400
_CYCLE_PIECES = 24
_ERA_DAYS = 146_097  # the Gregorian calendar repeats after 400 years
_EPOCH_DAY = 719_468  # 1970-01-01 in days since 0000-03-01


@dataclass(frozen=True)
class _Moment:
    """Times in UTC, [batch] each.

    Attributes:
        day: Days since 1970-01-01, int64.
        fraction: The share of the day that is over, float64.
    """

    day: tf.Tensor
    fraction: tf.Tensor


def usable(spec: Datetime, raw: tf.Tensor) -> tf.Tensor:
    """Returns the column in ISO 8601, a missing value where there is no date, as reading does it.

    Args:
        spec: The declaration.
        raw: string [batch].
    """
    for pattern, replacement in spec.respelling:
        raw = tf.strings.regex_replace(raw, pattern, replacement, replace_global=False)
    return tf.where(tf.strings.regex_full_match(raw, DATETIME_PATTERN), raw, "")


def requests(name: str, spec: Datetime, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the moments of the days since 1970, if the trend is wanted."""
    if "trend" not in spec.parts:
        return ()
    days = tf.cast(_days(_parsed(raw)), tf.float32)
    return (MomentsRequest(name, tf.where(raw == "", math.nan, days)[:, tf.newaxis]),)


def encode(name: str, spec: Datetime, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns float32 [batch, width]; a missing value is all zeros."""
    moment = _parsed(raw)
    columns: list[tf.Tensor] = []
    for part in spec.parts:
        if part == "trend":
            columns.append(_trend(fitted.moments[name], moment))
        else:
            angle = 2 * math.pi * _phase(part, moment)
            columns += [tf.sin(angle), tf.cos(angle)]
    numbers = tf.cast(tf.stack(columns, axis=1), tf.float32)
    return tf.where((raw == "")[:, tf.newaxis], 0.0, numbers)


def _trend(moments: Moments, moment: _Moment) -> tf.Tensor:
    """Returns standardized days within the training rows' range, float64 [batch]."""
    # In float64, so that minutes count in the difference of two times that are near.
    mean, deviation, first, last = (
        tf.cast(column, tf.float64)
        for column in (moments.mean, moments.deviation, moments.minimum, moments.maximum)
    )
    return (tf.clip_by_value(_days(moment), first, last) - mean) / deviation


def stored(spec: Datetime, learnt: Learnt) -> dict[str, Any]:
    """Returns the edges of the pieces of every number: even ones of a cycle's sine and cosine."""
    even = tuple(np.linspace(-1, 1, _CYCLE_PIECES + 1).tolist())
    edges: list[tuple[float, ...]] = []
    for part in spec.parts:
        if part == "trend":
            days = (np.asarray(learnt.edges[0]) - learnt.mean[0]) / learnt.deviation[0]
            edges.append(tuple(np.unique(days.astype(np.float32)).tolist()))
        else:
            edges += [even] * WIDTHS[part]
    return {"edges": tuple(edges)}


def _days(moment: _Moment) -> tf.Tensor:
    """Returns days since 1970, float64 [batch]."""
    return tf.cast(moment.day, tf.float64) + moment.fraction


def _phase(part: DatetimePart, moment: _Moment) -> tf.Tensor:
    """Returns the share of a cycle that is over, float64 [batch]."""
    if part == "time_of_day":
        return moment.fraction
    if part == "day_of_week":
        return _share(tf.math.floormod(moment.day + 3, 7), 7)  # 1970-01-01 was a Thursday
    year, month = _year_and_month(moment.day)
    one = tf.ones_like(month)
    if part == "day_of_month":
        begin = _day_of(year, month, one)
        end = _day_of(year + month // 12, month % 12 + 1, one)
    else:
        begin, end = _day_of(year, one, one), _day_of(year + 1, one, one)
    return _share(moment.day - begin, end - begin)


def _share(over: tf.Tensor, whole: tf.Tensor | int) -> tf.Tensor:
    return tf.cast(over, tf.float64) / tf.cast(whole, tf.float64)


def _parsed(texts: tf.Tensor) -> _Moment:
    """Parses what `usable` gives; the empty text is 1970-01-01.

    Args:
        texts: string [batch].
    """
    texts = tf.where(texts == "", _ANY, texts)
    is_date = tf.strings.length(texts) < _MINUTES_END
    texts = tf.where(is_date, tf.strings.join([texts, "T00:00"]), texts)
    day = _day_of(_number(texts, 0, 4), _number(texts, 5, 2), _number(texts, 8, 2))
    rest = tf.strings.substr(texts, _MINUTES_END, _TO_THE_END)
    clock = tf.strings.regex_replace(rest, "[Zz+-].*$", "")  # "", ":05" or ":05.25"
    clock = tf.where(clock == "", ":00", clock)
    clock = tf.where(tf.strings.length(clock) == 3, tf.strings.join([clock, "."]), clock)
    clock = tf.strings.join([clock, "000000"])
    minutes = _number(texts, 11, 2) * 60 + _number(texts, 14, 2)
    seconds = day * _DAY_SECONDS + minutes * 60 + _number(clock, 1, 2) - _offset(rest)
    microseconds = tf.cast(_number(clock, 4, 6), tf.float64)
    of_day = tf.cast(tf.math.floormod(seconds, _DAY_SECONDS), tf.float64)
    return _Moment(seconds // _DAY_SECONDS, (of_day + microseconds / 1e6) / _DAY_SECONDS)


def _offset(rest: tf.Tensor) -> tf.Tensor:
    """Returns the seconds by which local time is ahead of UTC, int64 [batch].

    Args:
        rest: What follows the minutes: ends in nothing, "Z", "+01", "-0530" or "+05:53:28".
    """
    digits = tf.strings.regex_replace(rest, "^[^+-]*", "")
    is_behind = tf.strings.regex_full_match(digits, "-.*")
    digits = tf.strings.join([tf.strings.regex_replace(digits, "[+:-]", ""), "000000"])
    seconds = _number(digits, 0, 2) * 3600 + _number(digits, 2, 2) * 60 + _number(digits, 4, 2)
    return tf.where(is_behind, -seconds, seconds)


def _number(texts: tf.Tensor, start: int, digits: int) -> tf.Tensor:
    return tf.strings.to_number(tf.strings.substr(texts, start, digits), tf.int64)


def _day_of(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    """Returns days since 1970-01-01 of a date of the Gregorian calendar, int64 [batch].

    Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013: years begin in March.
    """
    year = year - tf.cast(month <= 2, tf.int64)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * _ERA_DAYS + of_era * 365 + of_era // 4 - of_era // 100 + of_year - _EPOCH_DAY


def _year_and_month(day: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the year and the month, int64 [batch] each, of days since 1970-01-01: the inverse."""
    day = day + _EPOCH_DAY
    era = day // _ERA_DAYS
    of_era = day - era * _ERA_DAYS
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = ((5 * of_year + 2) // 153 + 2) % 12 + 1
    return year + era * 400 + tf.cast(month <= 2, tf.int64), month
