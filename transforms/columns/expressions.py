"""Expressions on columns, evaluated by Arrow and NumPy for all rows of a batch at once.

A column is a number, a text, yes or no, a time, or a list, by its Arrow type. Where the other side
of an operator is a number, a time or yes or no, the texts of a column are read as such, as CSV has
nothing but texts. What is missing (null, NaN, the empty text, a text that is not what it is read
as, a result that is no finite number) makes missing what is made of it, but for `and`, `or`,
`is_null` and `coalesce`, which are SQL's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Literal as OneOf

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.conform import decoded, parse_numbers
from transforms.columns.schema import is_datetime, is_list, is_number, is_text
from transforms.columns.unusable import FALSE_TEXTS, TRUE_TEXTS
from transforms.contract.columns.datetimes import DATETIME_PATTERN
from transforms.contract.errors import BraidError
from transforms.contract.expressions import (
    COMPARISONS,
    Call,
    Column,
    Literal,
    Term,
    columns_of,
    parse_expression,
)

Kind = OneOf["number", "text", "boolean", "time", "list", "missing", "other"]

_IN_WORDS: dict[Kind, str] = {
    "number": "a number",
    "text": "a text",
    "boolean": "yes or no",
    "time": "a date or time",
    "list": "a list",
    "missing": "a column without values",
    "other": "bytes or something else that is neither",
}
_COMPARABLE = "a number, a text, yes or no, a date or a time"
_TEXT = pa.large_string()
_TIME = pa.timestamp("us")
_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)
_TYPES: dict[Kind, pa.DataType] = {
    "number": pa.float64(),
    "text": _TEXT,
    "boolean": pa.bool_(),
    "time": _TIME,
}
_NUMBERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "exp": np.exp,
    "floor": np.floor,
    "log": np.log,
    "negative": np.negative,
    "round": np.round,
    "sqrt": np.sqrt,
}
_OF_TWO_NUMBERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": np.floor_divide,
    "%": np.mod,
    "min": np.minimum,
    "max": np.maximum,
}
_TEXTS = {"lower": pc.utf8_lower, "upper": pc.utf8_upper, "strip": pc.utf8_trim_whitespace}
_PARTS = {
    "contains": pc.match_substring,
    "starts_with": pc.starts_with,
    "ends_with": pc.ends_with,
}
_TIMES = {
    "year": pc.year,
    "month": pc.month,
    "day": pc.day,
    "weekday": pc.day_of_week,  # from 0, a Monday
    "hour": pc.hour,
}
_COMPARE = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def _without_rows(schema: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """Returns a table of no rows; `pa.array([], type)` cannot make unions and extensions."""
    return {name: pa.nulls(0, type_) for name, type_ in schema.items()}


class RowExpression:
    """An expression that a declaration has.

    Args:
        place: Where it is declared.
        text: The expression.

    Attributes:
        columns: Those that it reads.
    """

    def __init__(self, place: str, text: str) -> None:
        self._place = place
        self._term = parse_expression(text)
        self.columns = columns_of(text)

    def type_in(self, schema: Mapping[str, pa.DataType]) -> pa.DataType:
        """Returns the type of what it gives for a table.

        Raises:
            BraidError: The table lacks a column, or has one of a type that an operator cannot take.
        """
        return self.values(_without_rows(schema)).type

    def values(self, table: Mapping[str, pa.Array]) -> pa.Array:
        """Returns what it gives for rows: numbers, texts, times, or yes or no, [rows].

        Args:
            table: The rows' columns; texts are UTF-8.

        Raises:
            BraidError: As of `type_in`.
        """
        return self._scope(table).value(self._term)

    def check_condition(self, schema: Mapping[str, pa.DataType]) -> None:
        """Refuses an expression that is neither true nor false of a table's rows.

        Raises:
            BraidError: As of `type_in`, or it gives something else.
        """
        self.holds(_without_rows(schema))

    def holds(self, table: Mapping[str, pa.Array]) -> np.ndarray:
        """Returns of which rows it is true, bool [rows]; it is not where it is missing.

        Raises:
            BraidError: As of `check_condition`.
        """
        holds = pc.fill_null(self._scope(table).boolean(self._term), False)
        return np.asarray(holds.to_numpy(zero_copy_only=False))

    def _scope(self, table: Mapping[str, pa.Array]) -> _Scope:
        return _Scope(self._place, table)


class _Scope:
    """The rows that the parts of one expression are evaluated for."""

    def __init__(self, place: str, table: Mapping[str, pa.Array]) -> None:
        self._place = place
        self._table = table
        self._rows = len(next(iter(table.values()), ()))

    def value(self, term: Term) -> pa.Array:
        """Returns a part's values, of whatever kind they are; what is missing is null."""
        if isinstance(term, Literal):
            return pa.repeat(_scalar(term.value), self._rows)
        if isinstance(term, Column):
            if term.name not in self._table:
                there = f"one of the columns {', '.join(self._table)}"
                raise self._error(term, there, repr(term.name))
            return _without_missing(decoded(self._table[term.name]))
        if not isinstance(term, Call):
            raise TypeError(type(term))
        return self._call(term.function, term.arguments)

    def boolean(self, term: Term) -> pa.Array:
        """Returns a part as yes or no."""
        return self._as(term, self.value(term), "boolean")

    def _call(self, function: str, terms: Sequence[Term]) -> pa.Array:
        if function in COMPARISONS:
            left, right = self._alike(terms)
            return _COMPARE[function](left, right)
        if function == "in":
            first, *others = self._alike(terms)
            return reduce(pc.or_, [pc.equal(first, other) for other in others])
        if function in ("and", "or"):
            joined = pc.and_kleene if function == "and" else pc.or_kleene
            return reduce(joined, map(self.boolean, terms))
        if function == "not":
            return pc.invert(self.boolean(terms[0]))
        if function == "is_null":
            return self.value(terms[0]).is_null()
        if function == "coalesce":
            return pc.coalesce(*self._alike(terms))
        if function == "if":
            return pc.if_else(self.boolean(terms[0]), *self._alike(terms[1:]))
        return self._function(function, terms)

    def _function(self, function: str, terms: Sequence[Term]) -> pa.Array:
        if function in _OF_TWO_NUMBERS:
            return self._arithmetic(function, terms)
        if function in _NUMBERS:
            return _number(_NUMBERS[function], self._doubles(terms[0]))
        if function in _TIMES:
            return _TIMES[function](self._as(terms[0], self.value(terms[0]), "time"))
        value = self.value(terms[0])
        if function == "length" and _kind(value.type) == "list":
            return pc.list_value_length(value).cast(pa.int64())
        texts = self._as(terms[0], value, "text")
        if function == "length":
            return pc.utf8_length(texts).cast(pa.int64())
        if function in _TEXTS:
            return _without_missing(_TEXTS[function](texts))
        part = terms[1]
        if not isinstance(part, Literal) or not isinstance(part.value, str):
            raise self._error(part, "a text in quotes", repr(part.text))
        return _PARTS[function](texts, pattern=part.value)

    def _arithmetic(self, function: str, terms: Sequence[Term]) -> pa.Array:
        """Returns what operators give that stand in one another's first place, as in a long sum."""
        links = [(function, terms)]
        while isinstance(first := links[-1][1][0], Call) and first.function in _OF_TWO_NUMBERS:
            links.append((first.function, first.arguments))
        first_numbers = self._doubles(links[-1][1][0])
        for function, (_, *others) in reversed(links):
            numbers = _number(_OF_TWO_NUMBERS[function], first_numbers, *map(self._doubles, others))
            first_numbers = _in_numpy(numbers)
        return numbers

    def _doubles(self, term: Term) -> np.ndarray:
        return _in_numpy(self._as(term, self.value(term), "number"))

    def _alike(self, terms: Sequence[Term]) -> list[pa.Array]:
        """Returns parts as what can be compared: one type for all of them."""
        values = [self.value(term) for term in terms]
        kinds = {_kind(value.type) for value in values}
        order: tuple[Kind, ...] = ("time", "number", "boolean", "text", "missing")
        kind: Kind = next((each for each in order if each in kinds), "other")
        if kind == "other":
            raise self._error(terms[0], _COMPARABLE, f"{terms[0].text!r}, {_kind_of(values[0])}")
        if kind == "missing":
            kind = "number"
        alike = [self._as(term, value, kind) for term, value in zip(terms, values, strict=True)]
        if kind == "number" and any(pat.is_floating(array.type) for array in alike):
            return [array.cast(pa.float64(), safe=False) for array in alike]
        return alike

    def _as(self, term: Term, array: pa.Array, kind: Kind) -> pa.Array:
        """Returns values as a kind; those that are missing or not of it are null."""
        own = _kind(array.type)
        if own == kind:
            return _PLAIN[kind](array)
        if own == "missing":
            return pa.nulls(len(array), _TYPES[kind])
        if own == "text" and kind in _READ and not isinstance(term, Literal):
            return _READ[kind](array)
        if own == "text" and kind == "time" and isinstance(term, Literal):
            moment = _times(pa.array([term.value], _TEXT))
            if moment.null_count:
                raise self._error(term, "a date or time in ISO 8601", repr(term.text))
            return pa.repeat(moment[0], len(array))
        raise self._error(term, _IN_WORDS[kind], f"{term.text!r}, {_kind_of(array)}")

    def _error(self, term: Term, expected: str, received: str) -> BraidError:
        return BraidError(
            f"{self._place} at character {term.start + 1}",
            expected=expected,
            received=received,
            action="Correct the expression, or the table.",
        )


def _kind(type_: pa.DataType) -> Kind:
    tests: dict[Kind, Callable[[pa.DataType], object]] = {
        "missing": pat.is_null,
        "boolean": pat.is_boolean,
        "number": is_number,
        "text": is_text,
        "time": is_datetime,
        "list": is_list,
    }
    return next((kind for kind, test in tests.items() if test(type_)), "other")


def _kind_of(array: pa.Array) -> str:
    return _IN_WORDS[_kind(array.type)]


def _scalar(value: bool | int | float | str) -> pa.Scalar:
    return pa.scalar(value, _TEXT) if isinstance(value, str) else pa.scalar(value)


def _without_missing(column: pa.Array) -> pa.Array:
    """Returns a column in which NaN and the empty text are null."""
    if pat.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    if is_text(column.type):
        column = column.cast(_TEXT)  # views cannot be compared
        return pc.if_else(pc.equal(pc.binary_length(column), 0), None, column)
    return column


def _number(
    function: Callable[..., np.ndarray], first: np.ndarray, *others: np.ndarray
) -> pa.Array:
    """Applies a function to numbers, float64 [rows]; what is not finite is null."""
    with np.errstate(all="ignore"):
        result = function(first) if not others else reduce(function, others, first)
    return pa.array(np.where(np.isfinite(result), result, np.nan), from_pandas=True)


def _in_numpy(numbers: pa.Array) -> np.ndarray:
    """Returns numbers as float64, [rows]; a null is NaN."""
    doubles = numbers.cast(pa.float64(), safe=False)
    return np.asarray(doubles.to_numpy(zero_copy_only=False))


def _plain_numbers(array: pa.Array) -> pa.Array:
    """Returns whole numbers as int64, to be compared as they are, and others as float64."""
    if pat.is_integer(array.type) and not pat.is_uint64(array.type):
        return array.cast(pa.int64())
    return array.cast(pa.float64(), safe=False)


def _plain_times(array: pa.Array) -> pa.Array:
    """Returns dates and times in UTC and in microseconds; those that no calendar has are null."""
    if pat.is_date(array.type):
        array = array.cast(pa.timestamp("s"), safe=False)
    array = array.view(pa.timestamp(array.type.unit))
    if array.type.unit != "ns":
        first, last = (pa.scalar(moment, array.type) for moment in (_FIRST, _LAST))
        on_calendar = pc.and_(pc.greater_equal(array, first), pc.less_equal(array, last))
        array = pc.if_else(on_calendar, array, None)
    return array.cast(_TIME, safe=False)


def _times(texts: pa.Array) -> pa.Array:
    """Returns the times that texts spell, null where one spells none."""
    spelt = pc.match_substring_regex(texts, DATETIME_PATTERN)
    texts = pc.if_else(spelt, texts, None)
    try:
        return texts.cast(_TIME)
    except pa.ArrowInvalid:  # one has an offset
        return pa.array([None if text is None else _utc(text) for text in texts.to_pylist()], _TIME)


def _utc(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):  # an hour before the year 1
        return None


def _yes_or_no(texts: pa.Array) -> pa.Array:
    no = pc.if_else(pc.is_in(texts, pa.array(FALSE_TEXTS, _TEXT)), False, None)
    return pc.if_else(pc.is_in(texts, pa.array(TRUE_TEXTS, _TEXT)), True, no)


def _as_it_is(array: pa.Array) -> pa.Array:
    return array


_PLAIN: dict[Kind, Callable[[pa.Array], pa.Array]] = {
    "number": _plain_numbers,
    "text": _as_it_is,
    "boolean": _as_it_is,
    "time": _plain_times,
}
_READ: dict[Kind, Callable[[pa.Array], pa.Array]] = {
    "number": lambda texts: parse_numbers(texts)[0],
    "boolean": _yes_or_no,
    "time": _times,
}
