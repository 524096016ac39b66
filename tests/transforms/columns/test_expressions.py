"""Expressions on rows: for each of them what Python gives, and what SQL gives of what it lacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.columns.expressions import RowExpression
from transforms.contract.errors import BraidError

Row = dict[str, Any]

TABLE = {
    "fare": pa.array([1.0, None, math.nan, 5]),
    "tips": pa.array([1, 2, 3, None]),
    "paid": pa.array(["1", "x", "", "3.5"]),
    "card": pa.array([True, False, None, True]),
    "flag": pa.array(["true", "0", "maybe", None]),
    "day": pa.array([date(2026, 1, 1), None, date(2026, 2, 3), date(1, 1, 1)]),
    "iso": pa.array(["2026-01-31T05:00+01:00", "2026-01-31", "x", None]),
    "sent": pa.array([datetime(2026, 1, 31, 4)] * 4, pa.timestamp("ns", "Europe/Zurich")),
    "tags": pa.array([["a"], [], None, ["b", "c"]]),
    "none": pa.nulls(4),
    "city": pa.array(["Bern", "Basel", "Bern", "Chur"]).dictionary_encode(),
    "a b": pa.array([1, 2, 3, 2**63 - 1]),
    "big": pa.array([2**63 - 1] * 4, pa.uint64()),
}


def values(text: str) -> list[Any]:
    found: list[Any] = RowExpression("source.where", text).values(TABLE).to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fare > 0", [True, None, None, True]),
        ("tips > 0.2 * fare", [True, None, None, None]),
        ("paid > 2", [False, None, None, True]),
        ("2 < paid", [False, None, None, True]),
        ("paid == '1'", [True, False, None, False]),
        ("flag == True", [True, False, None, None]),
        ("not card", [False, True, None, False]),
        ("not flag", [False, True, None, None]),
        ("0 < fare < 3", [True, None, None, False]),
        ("fare in [1, 5]", [True, None, None, True]),
        ("city not in ('Bern', 'x')", [False, True, False, True]),
        ("year(day)", [2026, None, 2026, 1]),
        ("day >= '2026-01-15'", [False, None, True, False]),
        ("'2026-01-01' < day", [False, None, True, False]),
        ("iso == sent", [True, False, None, None]),
        ("hour(iso)", [4, 0, None, None]),
        ("weekday(iso)", [5, 5, None, None]),
        ("month(iso) + day(day)", [2.0, None, None, None]),
        ("length(tags)", [1, 0, None, 2]),
        ("length(paid)", [1, 1, None, 3]),
        ("is_null(fare) or fare > 2", [False, True, True, True]),
        ("coalesce(fare, -1)", [1.0, -1.0, -1.0, 5.0]),
        ("'hi' if fare > 2 else 'lo'", ["lo", None, None, "hi"]),
        ("1 / (tips - 1)", [None, 1.0, 0.5, None]),
        ("-7 // tips", [-7.0, -4.0, -3.0, None]),
        ("-7 % tips", [0.0, 1.0, 2.0, None]),
        ("none > 1", [None] * 4),
        ("none == 'a'", [None] * 4),
        ("upper(city)", ["BERN", "BASEL", "BERN", "CHUR"]),
        ("contains(city, 'as')", [False, True, False, False]),
        ("starts_with(city, 'B') and ends_with(city, 'n')", [True, False, True, False]),
        ("min(fare, tips, 2)", [1.0, None, None, None]),
        ("column('a b') == 9223372036854775807", [False, False, False, True]),
        ("column('a b') < big", [True, True, True, False]),
        ("log(fare - 1)", [None, None, None, math.log(4)]),
        ("round(fare / 2)", [0.0, None, None, 2.0]),
        ("exp(1000 * fare)", [None] * 4),
    ],
)
def test_an_expression_gives_a_value_for_every_row(text: str, expected: list[Any]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fair > 0", "source.where at character 1: expected one of the columns fare, tips"),
        ("fare > '0'", "at character 8: expected a number, received \"'0'\", a text"),
        ("fare > day", "at character 1: expected a date or time, received 'fare', a number"),
        ("day > 'soon'", "at character 7: expected a date or time in ISO 8601"),
        ("tags == tags", "expected a number, a text, yes or no, a date or a time"),
        ("card and fare", "at character 10: expected yes or no, received 'fare', a number"),
        ("contains(city, paid)", "at character 16: expected a text in quotes"),
        ("lower(fare) == 'a'", "at character 7: expected a text, received 'fare', a number"),
        ("card + 1", "expected a number, received 'card', yes or no"),
        ("é + fair > 0", "at character 1"),
    ],
)
def test_a_column_that_an_operator_cannot_take_is_refused_without_a_row(
    text: str, message: str
) -> None:
    types = {name: column.type for name, column in TABLE.items()}
    with pytest.raises(BraidError) as refused:
        RowExpression("source.where", text).type_in(types)
    assert message in str(refused.value)


def test_a_condition_is_yes_or_no_and_a_missing_one_does_not_hold() -> None:
    assert RowExpression("source.where", "fare > 0").holds(TABLE).tolist() == [
        True,
        False,
        False,
        True,
    ]
    assert RowExpression("source.where", "flag").holds(TABLE).tolist() == [
        True,
        False,
        False,
        False,
    ]
    types = {name: column.type for name, column in TABLE.items()}
    with pytest.raises(BraidError, match="expected yes or no, received 'fare', a number"):
        RowExpression("source.where", "fare").check_condition(types)


def test_a_sum_may_be_as_long_as_its_text() -> None:
    table = {"x": pa.array([1.0, None]), "y": pa.array([2, 3])}
    expression = RowExpression("source.where", "x" + "-y+x" * 200)
    assert expression.values(table).to_pylist() == [1.0 - 200 * 2 + 200 * 1, None]


# From here on: whatever is drawn gives what Python gives for the row alone.


@dataclass(frozen=True)
class Drawn:
    """An expression as text, and what it gives for a row: None is missing."""

    text: str
    of: Callable[[Row], Any]


_WHOLE = st.integers(-50, 50)
_COLUMNS = {
    "x": st.one_of(st.none(), _WHOLE),
    "µg": st.one_of(st.none(), _WHOLE.map(lambda n: n / 4), st.just(math.nan)),
    "s": st.one_of(st.none(), st.sampled_from(["", "a", "B", "ab", " a", "é"])),
    "nº": st.one_of(st.none(), st.sampled_from(["", "a", "B", "ba"])),
    "p": st.one_of(st.none(), st.booleans()),
    "d": st.one_of(st.none(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
}
_TYPES = {
    "x": pa.int64(),
    "µg": pa.float64(),
    "s": pa.string(),
    "nº": pa.string(),
    "p": pa.bool_(),
    "d": pa.date32(),
}


def _cell(name: str) -> Drawn:
    def of(row: Row) -> Any:
        value = row[name]
        return None if value == "" or value != value else value

    return Drawn(name, of)


def _strictly(function: Callable[..., Any], *parts: Drawn) -> Callable[[Row], Any]:
    """Applies a function to values of which none is missing; what is not finite is missing."""

    def of(row: Row) -> Any:
        given = [part.of(row) for part in parts]
        if None in given:
            return None
        try:
            result = function(*given)
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return None if isinstance(result, float) and not math.isfinite(result) else result

    return of


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: float(a) // float(b),
    "%": lambda a, b: float(a) % float(b),
}
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@st.composite
def numbers(draw: st.DrawFn, depth: int = 2) -> Drawn:
    if depth == 0 or draw(st.booleans()):
        if draw(st.booleans()):
            value = draw(_WHOLE.map(lambda n: n / 4))
            return Drawn(repr(value), lambda _: value)
        return _cell(draw(st.sampled_from(["x", "µg"])))
    way = draw(st.sampled_from(["two", "one", "year", "length", "if", "coalesce"]))
    if way == "year":
        return Drawn("year(d)", _strictly(lambda day: day.year, _cell("d")))
    if way == "length":
        inner = draw(texts())
        return Drawn(f"length({inner.text})", _strictly(len, inner))
    left, right = draw(numbers(depth - 1)), draw(numbers(depth - 1))
    if way == "one":
        name = draw(st.sampled_from(["abs", "floor", "ceil", "sqrt", "-"]))
        function = {
            "abs": abs, "floor": math.floor, "ceil": math.ceil, "sqrt": math.sqrt,
            "-": lambda a: -a,
        }[name]  # fmt: skip
        return Drawn(f"{name}({left.text})", _strictly(function, left))
    if way == "two":
        sign = draw(st.sampled_from([*_ARITHMETIC, "min", "max"]))
        if sign in _ARITHMETIC:
            text = f"({left.text}) {sign} ({right.text})"
            return Drawn(text, _strictly(_ARITHMETIC[sign], left, right))
        function = {"min": min, "max": max}[sign]
        return Drawn(f"{sign}({left.text}, {right.text})", _strictly(function, left, right))
    return draw(_either(left, right, way, depth))


@st.composite
def _either(draw: st.DrawFn, left: Drawn, right: Drawn, way: str, depth: int) -> Drawn:
    if way == "coalesce":

        def first(row: Row) -> Any:
            value = left.of(row)
            return right.of(row) if value is None else value

        return Drawn(f"coalesce({left.text}, {right.text})", first)
    condition = draw(conditions(depth - 1))

    def chosen(row: Row) -> Any:
        holds = condition.of(row)
        return None if holds is None else (left if holds else right).of(row)

    return Drawn(f"({left.text}) if ({condition.text}) else ({right.text})", chosen)


@st.composite
def texts(draw: st.DrawFn) -> Drawn:
    inner = _cell(draw(st.sampled_from(["s", "nº"])))
    name = draw(st.sampled_from(["", "lower", "upper", "strip"]))
    if not name:
        return inner
    return Drawn(f"{name}({inner.text})", _strictly(lambda s: getattr(s, name)() or None, inner))


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> Drawn:
    ways = ["compare", "in", "text", "column", "is_null"] + ["and", "or", "not"] * (depth > 0)
    way = draw(st.sampled_from(ways))
    if way == "column":
        return _cell("p")
    if way == "is_null":
        inner = draw(st.one_of(numbers(max(depth - 1, 0)), texts()))
        return Drawn(f"is_null({inner.text})", lambda row: inner.of(row) is None)
    if way == "in":
        inner, among = draw(texts()), draw(st.lists(st.sampled_from(["a", "b", "B"]), min_size=1))
        return Drawn(f"{inner.text} in {among}", _strictly(lambda s: s in among, inner))
    if way == "not":
        inner = draw(conditions(depth - 1))
        return Drawn(f"not ({inner.text})", _strictly(lambda holds: not holds, inner))
    if way in ("and", "or"):
        return draw(_joined(way, depth))
    sign = draw(st.sampled_from([*_COMPARED]))
    drawn = texts() if way == "text" else numbers(max(depth - 1, 0))
    left, right = draw(drawn), draw(drawn)
    text = f"({left.text}) {sign} ({right.text})"
    return Drawn(text, _strictly(_COMPARED[sign], left, right))


@st.composite
def _joined(draw: st.DrawFn, way: str, depth: int) -> Drawn:
    left, right = draw(conditions(depth - 1)), draw(conditions(depth - 1))
    decides = way == "or"  # whatever the other one is, missing or not

    def of(row: Row) -> Any:
        found = {left.of(row), right.of(row)}
        if decides in found:
            return decides
        return None if None in found else not decides

    return Drawn(f"({left.text}) {way} ({right.text})", of)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(numbers(), conditions()),
    st.lists(st.fixed_dictionaries(_COLUMNS), min_size=1, max_size=4),
)
def test_an_expression_gives_what_python_gives_for_each_row(drawn: Drawn, rows: list[Row]) -> None:
    table = {
        name: pa.array([row[name] for row in rows], type_, from_pandas=False)
        for name, type_ in _TYPES.items()
    }
    found = RowExpression("source.where", drawn.text).values(table).to_pylist()
    for value, row in zip(found, rows, strict=True):
        expected = drawn.of(row)
        both = None not in (value, expected)
        same = math.isclose(value, expected) if both else value is expected
        assert same, (drawn.text, row, value, expected)


@pytest.mark.parametrize(
    "other",
    [
        pa.struct([("flag", pa.bool8())]),
        pa.dictionary(pa.int8(), pa.string()),
        pa.run_end_encoded(pa.int32(), pa.string()),
        pa.list_(pa.uuid()),
        pa.sparse_union([pa.field("a", pa.int8())]),
        pa.dense_union([pa.field("a", pa.int8()), pa.field("b", pa.string())]),
        pa.string_view(),
        pa.map_(pa.string(), pa.float16()),
    ],
)
def test_a_column_that_is_not_read_may_be_of_any_type(other):
    expression = RowExpression("source.where", "area > 1")
    schema = {"area": pa.float64(), "other": other}
    assert expression.type_in(schema) == pa.bool_()
    expression.check_condition(schema)
