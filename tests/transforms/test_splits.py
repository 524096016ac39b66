from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.contract.errors import BraidError
from transforms.contract.source import ColumnSplit, HashSplit, TimeSplit
from transforms.hashing import key_bytes
from transforms.splits import assign_splits, time_bounds

TRAIN, VALIDATION, TEST = 0, 1, 2
EXPECTED_SPLITS = [1, 1, 2, 0, 0, 1, 0, 1, 2, 0, 1, 0]


def by_hash(keys: list[str], split: HashSplit) -> list[int]:
    column = pa.array(keys, pa.string())
    return assign_splits(split, key_bytes(column), {})[0].tolist()


def test_these_keys_have_these_splits_for_ever() -> None:
    keys = [f"listing-{i}" for i in range(12)]
    assert by_hash(keys, HashSplit()) == EXPECTED_SPLITS


@given(st.lists(st.text(), min_size=1), st.integers(1, 100))
def test_split_depends_on_the_key_alone(keys: list[str], train: int) -> None:
    split = HashSplit(train=train, validation=100 - train, test=0)
    together = by_hash(keys, split)
    assert together == [by_hash([key], split)[0] for key in keys]
    assert by_hash(keys[::-1], split) == together[::-1]


@given(st.lists(st.integers(0, 2**40), min_size=1))
def test_number_and_its_spelling_are_one_key(keys: list[int]) -> None:
    as_numbers = key_bytes(pa.array(keys, pa.int64()))
    as_texts = key_bytes(pa.array([str(key) for key in keys]))
    assert as_numbers.tolist() == as_texts.tolist()


def test_more_training_rows_leave_the_other_training_rows_where_they_are() -> None:
    keys = [str(i) for i in range(500)]
    small = by_hash(keys, HashSplit(train=60, validation=20, test=20))
    large = by_hash(keys, HashSplit(train=80, validation=10, test=10))
    assert all(large[i] == TRAIN for i in range(500) if small[i] == TRAIN)


def test_percentages_are_met() -> None:
    splits = np.array(by_hash([str(i) for i in range(20_000)], HashSplit()))
    assert [round(float((splits == s).mean()), 2) for s in (TRAIN, VALIDATION, TEST)] == [
        0.8,
        0.1,
        0.1,
    ]


def test_column_names_the_split() -> None:
    split = ColumnSplit(by="column", column="fold", validation=("dev", "val"))
    column = pa.array(["train", "val", "test", "dev", None, "other"])
    splits, problems = assign_splits(split, np.zeros(6), {"fold": column})
    assert splits[:4].tolist() == [TRAIN, VALIDATION, TEST, VALIDATION]
    assert problems == {4: ("fold", "missing"), 5: ("fold", "unknown_split")}


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([1, 2, 3, None], (2, 3)),
        ([1.0, 2.0, 3.0, None], (2, 3)),
        (["2026-01-01", "2026-02-01", "2026-03-01", None], ("2026-02-01", "2026-03-01")),
        (["1", "2", "3", None], (2, 3)),
        ([datetime.date(2026, m, 1) for m in (1, 2, 3)] + [None], ("2026-02-01", "2026-03-01")),
        (
            [datetime.datetime(2026, m, 1, 12) for m in (1, 2, 3)] + [None],
            ("2026-02-01", "2026-03-01"),
        ),
    ],
)
def test_time_separates_in_the_columns_own_type(
    values: list[object], bounds: tuple[str | int, str | int]
) -> None:
    split = TimeSplit(by="time", column="t", validation_from=bounds[0], test_from=bounds[1])
    splits, problems = assign_splits(split, np.zeros(4), {"t": pa.array(values)})
    assert splits[:3].tolist() == [TRAIN, VALIDATION, TEST]
    assert problems == {3: ("t", "missing")}


def test_time_without_a_zone_is_utc_where_the_column_has_zones() -> None:
    split = TimeSplit(by="time", column="t", validation_from="2026-02-01", test_from="2026-03-01")
    moments = [datetime.datetime(2026, m, 1, 12) for m in (1, 2, 3)]
    column = pa.array(moments, pa.timestamp("us", "Europe/Brussels"))
    assert assign_splits(split, np.zeros(3), {"t": column})[0].tolist() == [
        TRAIN,
        VALIDATION,
        TEST,
    ]


def test_text_that_is_no_number_costs_one_row() -> None:
    split = TimeSplit(by="time", column="t", validation_from=2, test_from=3)
    splits, problems = assign_splits(split, np.zeros(3), {"t": pa.array(["1", "soon", "3"])})
    assert splits[[0, 2]].tolist() == [TRAIN, TEST]
    assert problems == {1: ("t", "not_a_number")}


@pytest.mark.parametrize(
    ("bounds", "type_", "place"),
    [
        (("soon", "2026-03-01"), pa.timestamp("us"), "split.validation_from"),
        (("2026-02-01", 3), pa.date32(), "split.test_from"),
        (("2026-02-01", "2026-03-01"), pa.int64(), "split.validation_from"),
        ((5, 3), pa.int64(), "split.test_from"),
    ],
)
def test_bound_that_does_not_fit_the_column_is_refused(
    bounds: tuple[str | int, str | int], type_: pa.DataType, place: str
) -> None:
    split = TimeSplit(by="time", column="t", validation_from=bounds[0], test_from=bounds[1])
    with pytest.raises(BraidError, match=place):
        time_bounds(split, type_)
