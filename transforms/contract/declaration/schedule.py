"""The schedule by which a pipeline runs, once it is deployed to a server."""

from __future__ import annotations

import calendar
import re
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator

from transforms.contract.spec import RuleBroken, Spec

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# The fields of a cron string: name, lowest value, highest value, names of values from the lowest.
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _WEEKDAYS),
)
_LEAP_YEAR = 2024
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")


def _cron(text: str) -> str:
    """Refuses what is no cron string; the five fields are those of POSIX's crontab, with steps."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        names = ", ".join(name for name, *_ in _FIELDS)
        raise RuleBroken(expected=f"five fields: {names}", received=repr(text))
    for field, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        values = {word: low + index for index, word in enumerate(words)}
        if not all(_is_part(part, low, high, values) for part in field.split(",")):
            raise RuleBroken(
                expected=f"the {name} to be *, a value from {low} to {high}, a range such as "
                f"{low}-{high}, or a list of these, each with a step such as */2 if "
                "you like",
                received=repr(field),
            )
    _refuse_never(fields)
    return text


def _refuse_never(fields: list[str]) -> None:
    """Refuses days that none of the months has. With a weekday too, either of the two is enough."""
    _, _, day, month, weekday = fields
    if weekday != "*":
        return
    days, months = (_values(text, index) for text, index in ((day, 2), (month, 3)))
    if min(days) > max(calendar.monthrange(_LEAP_YEAR, m)[1] for m in months):
        raise RuleBroken(expected="a day that a month has", received=f"day {day} of month {month}")


def _values(field: str, index: int) -> set[int]:
    """Returns what a field that is right stands for."""
    _, low, high, words = _FIELDS[index]
    names = {word: low + place for place, word in enumerate(words)}
    values: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise RuleBroken(expected="a part of a cron string", received=repr(part))
        ends = [match["first"] or str(low), match["last"] or match["first"] or str(high)]
        first, last = (names[e] if (e := end.lower()) in names else int(e) for end in ends)
        if match["first"] and match["step"] and not match["last"]:
            last = high  # "5/10" goes on from 5
        values.update(range(first, last + 1, int(match["step"] or 1)))
    return values


def _is_part(part: str, low: int, high: int, names: dict[str, int]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or match["step"] in ("0", "00"):
        return False
    if match["first"] is None:
        return True
    bounds = [match["first"], match["last"] or match["first"]]
    values = [int(bound) if bound.isdecimal() else names.get(bound.lower(), -1) for bound in bounds]
    return low <= values[0] <= values[1] <= high


def _timezone(name: str) -> str:
    known = available_timezones()
    if known and name not in known:
        raise RuleBroken(expected="a time zone such as UTC or Europe/Berlin", received=repr(name))
    return name


class ScheduleSpec(Spec):
    """The times at which the deployed pipeline runs. `braid deploy` hands them to the server.

    Attributes:
        cron: Minute, hour, day of the month, month and day of the week, as in a crontab.
        timezone: Where these are the hours of; days have 23 and 25 hours there as the law wants.
    """

    cron: Annotated[str, AfterValidator(_cron)]
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
