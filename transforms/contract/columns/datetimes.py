"""Dates and times as a user declares them, and as texts spell them."""

from __future__ import annotations

import operator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from transforms.contract.columns.datetime_formats import Replacement, check_format, respelling
from transforms.contract.columns.features import FeatureSpec, Layout, RawColumn
from transforms.contract.spec import RuleBroken

_YEAR = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_BY_FOUR = "(?:0[48]|[2468][048]|[13579][26])"  # two digits other than 00 that 4 divides
_LEAP_DAY = f"(?:[0-9]{{2}}{_BY_FOUR}|{_BY_FOUR}00)-02-29"
_TIME = "[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?"
_OFFSET = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9](?::?[0-5][0-9])?)?)"

# A date of the years 1 to 9999, or a date and a time with or without an offset from UTC, in ISO
# 8601's extended format with a "T" or a space between them. The days of each month are a part of
# it, so that it alone decides, and does so alike in every library.
DATETIME_PATTERN = f"^(?:{_YEAR}-{_DAY}|{_LEAP_DAY})(?:{_TIME}{_OFFSET}?)?$"

DatetimePart = Literal["time_of_day", "day_of_week", "day_of_month", "day_of_year", "trend"]
WIDTHS: dict[DatetimePart, int] = {
    "time_of_day": 2,
    "day_of_week": 2,
    "day_of_month": 2,
    "day_of_year": 2,
    "trend": 1,
}


class Datetime(FeatureSpec):
    """A date, or a date and a time: a timestamp or date column, ISO 8601 text, or `format`'s.

    A time with a zone or an offset is converted to UTC, and one without is taken as it is: give the
    local time without its zone if hours and weekdays are to be local ones. A date is its midnight.
    The graph knows microseconds. What is no date of the years 1 to 9999 is invalid.

    Attributes:
        format: How texts spell it if not as ISO 8601 does, in `strptime`'s words, such as
            "%d/%m/%Y" or "%m/%d/%y %I:%M %p"; names of months are English ones.
        parts: What is stored, in this order; each but the trend is the sine and the cosine of a
            cycle, and two zeros where the value is missing. "time_of_day" goes around once a day,
            by the microsecond; "day_of_week" once a week from Monday, "day_of_month" once a month
            and "day_of_year" once a year, each in whole days. "trend" is the time itself, in days,
            less the training rows' mean and divided by their standard deviation; of a missing value
            it is 0, their mean. What is before or after all training rows counts as their first or
            last time: a network would go on along whatever line the last of them suggest.
    """

    moves_on: ClassVar[bool] = True

    kind: Literal["datetime"]
    # Not written where it says nothing: what was transformed before there was the key stays.
    format: Annotated[
        Annotated[str, AfterValidator(check_format)] | None, Field(exclude_if=operator.not_)
    ] = None
    parts: Annotated[tuple[DatetimePart, ...], Field(min_length=1)] = tuple(WIDTHS)

    @model_validator(mode="after")
    def _parts_differ(self) -> Self:
        if len(set(self.parts)) < len(self.parts):
            raise RuleBroken(expected="parts that differ", received=", ".join(self.parts))
        return self

    @property
    def respelling(self) -> tuple[Replacement, ...]:
        """What makes ISO 8601 of the column's texts, replacement after replacement."""
        return respelling(self.format) if self.format else ()

    @property
    def has_statistics(self) -> bool:
        """Whether the trend is stored, on a scale of the training rows."""
        return "trend" in self.parts

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        return RawColumn(name=column, dtype="string")

    def layout(self) -> Layout:
        """Returns the numbers of all parts, side by side."""
        return "float32", (sum(WIDTHS[part] for part in self.parts),)
