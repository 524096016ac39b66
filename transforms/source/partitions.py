"""The order of partitions, and which of them a training uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from transforms.contract.declaration.training import PartitionChoice, TrainingSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.partition import Partition

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2}([ T][0-9].*)?)?")
_LAST_INSTANT = timedelta(microseconds=1)
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"  # what Hive, Spark and Arrow write for a null


class PartitionOrder:
    """The order of one source's partitions: as numbers, dates or text, by what they all are.

    Numbers come before dates, so that 20260131 is a number, which orders alike. Where values are
    of several sorts, all of them are text. Equal numbers and dates (2 and 2.0) are told apart by
    their text, so that the order is the same in every run. A missing value is before all others,
    and in no range that has a bound.

    Args:
        values: The values of all partitions; None is a missing one.
    """

    def __init__(self, values: Iterable[str | None]) -> None:
        known = tuple(value for value in values if value is not None)
        sorts: tuple[tuple[str, Callable[[str], Any]], ...] = (
            ("a number", _number),
            ("a date", _date),
        )
        for name, parse in sorts:
            if all(parse(value) is not None for value in known):
                self.name, self._parse = name, parse
                return
        self.name, self._parse = "text", str

    def key(self, value: str | None) -> tuple[Any, ...]:
        """Returns what a partition's value sorts by."""
        return (False,) if value is None else (True, self._parse(value), value)

    def within(self, value: str | None, first: str | None, last: str | None) -> bool:
        """Returns whether a value lies between two bounds, both inclusive.

        A bound may name a month or a day, and then is all of it.

        Raises:
            ValueError: A bound does not compare with the partitions.
        """
        start = None if first is None else self._bound(first)
        end = None if last is None else self._end(last)
        if value is None:
            return start is None and end is None
        place = self._parse(value)
        return bool((start is None or start <= place) and (end is None or place <= end))

    def _bound(self, bound: str) -> Any:
        parsed = self._parse(bound)
        if parsed is None:
            raise ValueError(bound)
        return parsed

    def _end(self, bound: str) -> Any:
        start = self._bound(bound)
        if self._parse is not _date or len(bound) > len("2026-01-31"):
            return start
        try:
            if len(bound) == len("2026-01-31"):
                return start + timedelta(days=1) - _LAST_INSTANT
            return (start + timedelta(days=31)).replace(day=1) - _LAST_INSTANT
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


def hive_value(text: str) -> str | None:
    """Returns the value that a hive folder stands for; None is a missing one.

    A slash, and whatever else a folder's name cannot have, is percent-encoded there. What is then
    no UTF-8 stays as it is written.

    Args:
        text: What follows "key=" in the folder's name.
    """
    if text in ("", _HIVE_NULL):
        return None
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def choose(partitions: Sequence[Partition], training: TrainingSpec) -> tuple[Partition, ...]:
    """Returns the partitions that a training uses, in their order.

    Args:
        partitions: All partitions of the source, in their order.
        training: What declares the choice.

    Raises:
        BraidError: The choice names none of them, or in a way that does not compare with them.
    """
    choice = training.partitions
    if not isinstance(choice, PartitionChoice):
        return tuple(partitions)
    if choice.last is not None:
        return tuple(partitions[-choice.last :])
    chosen = between(partitions, choice.first(), choice.final(), place="training.partitions")
    if not chosen:
        raise BraidError(
            "training.partitions",
            expected=f"a range with some of the {len(partitions)} partitions, which are "
            f"{partitions[0].name} to {partitions[-1].name}",
            received=choice.in_words(),
            action="Correct the range, or put the partitions into the source.",
        )
    return chosen


def between(
    partitions: Sequence[Partition], first: str | None, last: str | None, *, place: str
) -> tuple[Partition, ...]:
    """Returns the partitions from one value to another, both inclusive, in their order.

    Args:
        partitions: All partitions of the source.
        first: None for no lower bound.
        last: None for no upper bound. A month or a day is meant to its end.
        place: What an error names.

    Raises:
        BraidError: A bound does not compare with the partitions.
    """
    order = PartitionOrder(part.value for part in partitions)
    try:
        return tuple(p for p in partitions if order.within(p.value, first, last))
    except ValueError as error:
        raise BraidError(
            place,
            expected=f"{order.name}, as the partitions are ({partitions[0].name})",
            received=repr(str(error)),
            action="Write the bounds as the partitions are named.",
        ) from None


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _date(text: str) -> datetime | None:
    """Returns the first instant of an ISO date, month or time, in UTC unless it says otherwise."""
    if not _DATE.fullmatch(text):
        return None
    try:
        instant = datetime.fromisoformat(f"{text}-01" if len(text) == len("2026-01") else text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
