from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.columns.conform import conform
from transforms.columns.unusable import not_a_datetime, not_an_id, not_binary
from transforms.contract.columns.features import (
    RawColumn,
)
from transforms.contract.columns.numbers import LARGEST_FLOAT32, number_in

STRING = RawColumn(name="c", dtype="string")
NUMBER = RawColumn(name="c", dtype="float32")
PAIR = RawColumn(name="c", dtype="float32", shape=(2,))
LABELS = RawColumn(name="c", dtype="string", shape=(2,), padded=True)

# A data frame's categories, as some libraries write them.
VIEWS = pa.DictionaryArray.from_arrays(
    pa.array([0, None, 0], pa.uint32()), pa.array(["a"], pa.string_view())
)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", None, ""]), [b"a", b"", b""]),
        (pa.array([1, None, 3]), [b"1", b"", b"3"]),
        (pa.array([True, None, False]), [b"true", b"", b"false"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), [b"a", b"", b"a"]),
        (VIEWS, [b"a", b"", b"a"]),
        (pa.array(["é", "a", "b"], pa.large_string()), ["é".encode(), b"a", b"b"]),
        (pa.array(["x", "a", None, ""], pa.large_string()).slice(1), [b"a", b"", b""]),
        (pa.nulls(2), [b"", b""]),
    ],
)
def test_label_becomes_bytes_and_null_the_empty_text(
    column: pa.Array, expected: list[bytes]
) -> None:
    conformed = conform(STRING, column)
    assert conformed.values.tolist() == expected
    assert conformed.missing.tolist() == [value == b"" for value in expected]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None, 3], pa.int8()),
        pa.array([1.0, math.nan, 3.0], pa.float32()),
        pa.array([Decimal("1"), None, Decimal("3")]),
        pa.array(["1", "N/A", " 3.0 "]),
        pa.array(["1", "", "3"]),
    ],
)
def test_number_of_any_type_becomes_float32_and_null_nan(column: pa.Array) -> None:
    conformed = conform(NUMBER, column)
    assert conformed.values.dtype == np.float32
    np.testing.assert_array_equal(conformed.values, [1, np.nan, 3])
    assert conformed.missing.tolist() == [False, True, False]
    assert conformed.invalid == {}


MOMENTS = [datetime(2026, 1, 31, 5, 0, 7, 123_000, tzinfo=UTC), None]


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (pa.timestamp("s"), b"2026-01-31 05:00:07"),
        (pa.timestamp("ms", "Europe/Brussels"), b"2026-01-31 05:00:07.123"),
        (pa.timestamp("us", "+03:00"), b"2026-01-31 05:00:07.123000"),
        (pa.timestamp("ns"), b"2026-01-31 05:00:07.123000000"),
        (pa.date32(), b"2026-01-31"),
        (pa.date64(), b"2026-01-31"),
    ],
)
def test_time_of_any_type_becomes_text_in_utc(type_: pa.DataType, text: bytes) -> None:
    column = pa.array(MOMENTS, pa.timestamp("us", "UTC")).cast(type_, safe=False)
    conformed = conform(STRING, column)
    assert conformed.values.tolist() == [text, b""]
    assert conformed.missing.tolist() == [False, True]
    assert not_a_datetime(conformed.values, conformed.missing) == {}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([253_402_300_800, -62_135_596_801, 1 << 62]).view(pa.timestamp("s")),
        pa.array([253_402_300_800_000, -62_135_596_801_000, 1 << 62]).view(pa.timestamp("ms")),
        pa.array([2_932_897, -719_163, 1 << 30], pa.int32()).view(pa.date32()),
    ],
)
def test_time_outside_of_the_calendars_years_is_invalid(column: pa.Array) -> None:
    conformed = conform(STRING, column)
    reasons = not_a_datetime(conformed.values, conformed.missing)
    assert reasons == dict.fromkeys(range(3), "not_a_datetime")


def test_number_that_cannot_be_used_is_named() -> None:
    conformed = conform(NUMBER, pa.array(["1", "many", "inf"]))
    assert conformed.invalid == {1: "not_a_number", 2: "not_finite"}
    assert np.isnan(conformed.values[1:]).all()
    assert not conformed.missing.any()


def test_double_that_float32_cannot_hold_is_not_finite() -> None:
    assert conform(NUMBER, pa.array([1e300])).invalid == {0: "not_finite"}


@given(st.lists(st.floats(width=32, allow_infinity=False), min_size=1))
def test_float32_values_arrive_unchanged(values: list[float]) -> None:
    column = pa.array(values, pa.float32())
    np.testing.assert_array_equal(conform(NUMBER, column).values, np.array(values, np.float32))


@pytest.mark.parametrize(
    "type_", [pa.list_(pa.float64()), pa.large_list(pa.int32()), pa.list_(pa.float32())]
)
def test_list_needs_its_declared_length(type_: pa.DataType) -> None:
    conformed = conform(PAIR, pa.array([[1, 2], [3], None, []], type_))
    assert conformed.values[0].tolist() == [1.0, 2.0]
    assert conformed.missing.tolist() == [False, False, True, True]
    assert conformed.invalid == {1: "length_is_not_2"}


def test_list_with_a_null_or_infinite_number_is_invalid() -> None:
    conformed = conform(PAIR, pa.array([[1.0, None], [1.0, math.inf]]))
    assert conformed.invalid == {0: "not_finite", 1: "not_finite"}


def test_column_of_nulls_is_a_column_of_missing_lists() -> None:
    for raw in (PAIR, LABELS):
        conformed = conform(raw, pa.nulls(2))
        assert conformed.values.shape == (2, 2)
        assert conformed.missing.tolist() == [True, True]


@pytest.mark.parametrize(
    "type_",
    [
        pa.list_(pa.string()),
        pa.large_list(pa.large_string()),
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
    ],
)
def test_list_of_labels_is_cut_and_padded_and_its_nulls_do_not_count(type_: pa.DataType) -> None:
    lists = [["z"], ["a"], None, [], ["a", "b", "c"], [None, "b", "", "b", "c"], [None, ""]]
    conformed = conform(LABELS, pa.array(lists, type_).slice(1))
    assert conformed.values.tolist() == [
        [b"a", b""],
        [b"", b""],
        [b"", b""],
        [b"a", b"b"],
        [b"b", b"b"],
        [b"", b""],
    ]
    assert conformed.missing.tolist() == [False, True, True, False, False, True]
    assert conformed.invalid == {}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([[1, -20], [3, None]]), [[b"1", b"-20"], [b"3", b""]]),
        (pa.array([[True], [False, None, True]]), [[b"true", b""], [b"false", b"true"]]),
        (pa.array([["a", "b"], None], pa.list_(pa.string(), 2)), [[b"a", b"b"], [b"", b""]]),
        (pa.array([[], None], pa.list_(pa.null())), [[b"", b""], [b"", b""]]),
        (pa.array([], pa.list_(pa.string())), []),
    ],
)
def test_list_of_any_labels_becomes_bytes(column: pa.Array, expected: list[Any]) -> None:
    assert conform(LABELS, column).values.tolist() == expected


@given(st.lists(st.none() | st.lists(st.none() | st.sampled_from(["a", "b", ""]), max_size=5)))
def test_list_keeps_its_first_values(lists: list[Any]) -> None:
    conformed = conform(LABELS, pa.array(lists, pa.list_(pa.string())))
    kept = [[entry.encode() for entry in row or [] if entry][:2] for row in lists]
    assert conformed.values.tolist() == [row + [b""] * (2 - len(row)) for row in kept]
    assert conformed.missing.tolist() == [not row for row in kept]


def test_row_with_a_value_that_is_no_id_is_named() -> None:
    texts = np.array([b"0", b"6", b"7", b"", b"-1", b"1.0", b"\xff"], object)
    assert not_an_id(texts, 7) == dict.fromkeys((2, 4, 5, 6), "not_an_id")
    lists = np.array([[b"1", b"2"], [b"1", b"9"], [b"1", b""], [b"", b""]], object)
    assert not_an_id(lists, 7) == {1: "not_an_id"}


def test_nan_of_a_label_column_is_missing() -> None:
    conformed = conform(STRING, pa.array([1.0, math.nan, None, 0.0]))
    assert conformed.missing.tolist() == [False, True, True, False]


def test_text_of_any_of_arrows_types_spells_numbers() -> None:
    column = pa.array(["1", "2"]).cast(pa.string_view())
    assert conform(NUMBER, column).values.tolist() == [1.0, 2.0]


def test_yes_or_no_is_spelt_in_a_few_ways_unless_declared() -> None:
    values = np.array([b"true", b"0", b"yes", b""], object)
    missing = np.array([False, False, False, True])
    assert not_binary(values, missing, None) == {2: "not_binary"}
    assert not_binary(values, missing, "yes") == {}


def series(*columns: pa.Array, channels: int = 1, padded: bool = False, length: int = 3) -> Any:
    raw = RawColumn(name="c", dtype="float32", shape=(length, channels), padded=padded)
    return conform(raw, *columns)


@pytest.mark.parametrize(
    "type_",
    [pa.list_(pa.float64()), pa.large_list(pa.int16()), pa.list_(pa.list_(pa.float32()))],
)
def test_a_series_of_one_channel_is_a_list_of_numbers_or_of_steps(type_: pa.DataType) -> None:
    nested = pa.types.is_list(type_.value_type)
    rows = [[[1], [2], [3]], None] if nested else [[1, 2, 3], None]
    conformed = series(pa.array(rows, type_))
    assert conformed.values.dtype == np.float32
    np.testing.assert_array_equal(conformed.values, [[[1], [2], [3]], [[np.nan]] * 3])
    assert conformed.missing.tolist() == [False, True]
    assert conformed.invalid == {}


def test_steps_of_fixed_size_and_a_slice_of_a_column() -> None:
    type_ = pa.list_(pa.list_(pa.float32(), 2), 3)
    rows = [[[9, 9]] * 3, None, [[1, 2], [3, 4], [5, 6]]]
    conformed = series(pa.array(rows, type_).slice(1), channels=2)
    assert conformed.missing.tolist() == [True, False]
    assert conformed.values[1].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_null_in_a_series_is_a_missing_number_and_a_null_step_a_missing_step() -> None:
    conformed = series(pa.array([[[1.0, None], None, [math.nan, 6.0]]]), channels=2)
    np.testing.assert_array_equal(conformed.values, [[[1, np.nan], [np.nan, np.nan], [np.nan, 6]]])
    assert not conformed.missing.any()
    assert conformed.invalid == {}


def test_series_that_cannot_be_used_is_named() -> None:
    rows = [[1.0, 2.0], [1.0, math.inf, 3.0], [1.0, 2.0, 3.0, 4.0], [], [None, None, None]]
    conformed = series(pa.array(rows))
    assert conformed.invalid == {0: "length_is_not_3", 1: "not_finite", 2: "length_is_not_3"}
    assert np.isnan(conformed.values).all()
    assert conformed.missing.tolist() == [False, False, False, True, True]


def test_step_of_another_width_is_invalid() -> None:
    conformed = series(pa.array([[[1, 2], [3], [5, 6]], [[1, 2], [3, 4], [5, 6]]]), channels=2)
    assert conformed.invalid == {0: "channels_is_not_2"}
    assert conformed.values[1].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_variable_series_ends_in_nan_and_is_cut_at_its_length() -> None:
    conformed = series(pa.array([[1.0], [1.0, 2.0, 3.0, 4.0]]), padded=True)
    np.testing.assert_array_equal(conformed.values[..., 0], [[1, np.nan, np.nan], [1, 2, 3]])
    assert conformed.invalid == {}


def test_several_columns_are_the_channels_of_a_series() -> None:
    x = pa.array([[1, 2, 3], [1, 2, 3], None, None])
    y = pa.array([[4, 5, 6], [4, 5], [4, 5, 6], None])
    conformed = series(x, y, channels=2)
    assert conformed.values[0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert conformed.invalid == {1: "lengths_differ"}
    np.testing.assert_array_equal(conformed.values[2, :, 1], [4, 5, 6])
    assert np.isnan(conformed.values[2, :, 0]).all()
    assert conformed.missing.tolist() == [False, False, False, True]


@given(
    st.lists(
        st.none() | st.lists(st.none() | st.floats(-1e6, 1e6, width=32), max_size=6), min_size=1
    ),
    st.integers(1, 5),
)
def test_variable_series_equal_a_slow_reference(rows: list[Any], length: int) -> None:
    conformed = series(pa.array(rows, pa.list_(pa.float32())), padded=True, length=length)
    for row, values in zip(rows, conformed.values[..., 0], strict=True):
        cut = [np.nan if v is None else v for v in (row or [])][:length]
        np.testing.assert_array_equal(values, cut + [np.nan] * (length - len(cut)))


SPELLINGS = st.one_of(
    st.text(),
    st.text("0123456789.,_+-eExX infatyINFATY\u0661\u0662\uff11", max_size=8),
    st.floats().map(str),
    st.floats().map(repr).map(lambda text: f" {text}\u00a0"),
)


@given(SPELLINGS, st.sampled_from(["1", "far", None, "nan(1)", "1_0"]))
def test_whether_a_text_is_a_number_is_the_same_beside_any_other_and_in_serving(
    text: str, other: str | None
) -> None:
    alone = conform(NUMBER, pa.array([text], pa.string()))
    beside = conform(NUMBER, pa.array([text, other], pa.string()))
    np.testing.assert_array_equal(alone.values[0], beside.values[0])
    assert alone.invalid.get(0) == beside.invalid.get(0)
    assert alone.missing[0] == beside.missing[0]
    try:
        number = number_in(text)
    except ValueError:
        assert alone.invalid == {0: "not_a_number"}
    else:
        assert alone.invalid.get(0) != "not_a_number"
        if alone.invalid:
            assert abs(number) > LARGEST_FLOAT32
        else:
            np.testing.assert_array_equal(alone.values[0], np.float32(number))


@pytest.mark.parametrize(
    "text",
    ["1_000", "\u0661\u0662", "\uff11", "1,5", "0x1", "1e", "nan(1)", "1d5", "\u00bd", "--1"],
)
def test_what_only_some_parsers_read_is_no_number(text: str) -> None:
    assert conform(NUMBER, pa.array([text])).invalid == {0: "not_a_number"}


@pytest.mark.parametrize("text", ["+1", "1.", " 1\u00a0", "1e0", ".1E+1", "0001"])
def test_ways_to_spell_one(text: str) -> None:
    assert conform(NUMBER, pa.array([text])).values.tolist() == [1.0]
