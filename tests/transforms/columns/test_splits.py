from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.columns.hashing import key_bytes
from transforms.columns.splits import assign_splits, time_bounds
from transforms.contract.declaration.split import ColumnSplit, HashSplit, TimeSplit, TrainShare
from transforms.contract.errors import BraidError

TRAIN, VALIDATION, TEST = 0, 1, 2
EXPECTED_SPLITS = [1, 1, 2, 0, 0, 1, 0, 1, 2, 0, 1, 0]
EXPECTED_SHARES = [2, 2, 2, 0, 1, 2, 1, 2, 2, 0, 2, 1]
EXPECTED_GROUPS = [0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1]
GROUPS = ["ann", None, "bob", "ann", "", "cleo", "bob", "dan"]


def texts(values: list[str | None], type_: str) -> pa.Array:
    """Returns a text column of one of Arrow's types, or a dictionary of them."""
    name, _, value = type_.rpartition(" ")
    column = pa.array(values, getattr(pa, value)())
    if not name:
        return column
    unique = pa.array(list(dict.fromkeys(values)), column.type)
    indices = pa.array([list(dict.fromkeys(values)).index(v) for v in values], pa.int8())
    return pa.DictionaryArray.from_arrays(indices, unique)


TEXT_TYPES = ["string", "large_string", "string_view"]
TEXT_TYPES += [f"dictionary of {name}" for name in TEXT_TYPES]


def share(percent: int) -> TrainShare:
    return TrainShare.model_validate({"from": "train", "percent": percent})


def by_column(
    keys: list[str], folds: list[str | None], type_: str = "string", **split: Any
) -> tuple[list[int], dict[int, tuple[str, str]]]:
    declared = ColumnSplit(by="column", column="fold", **split)
    table = {"fold": texts(folds, type_)}
    splits, problems = assign_splits(declared, key_bytes(pa.array(keys, pa.string())), table)
    return splits.tolist(), problems


def by_group(column: pa.Array, **split: Any) -> tuple[list[int], dict[int, tuple[str, str]]]:
    keys = key_bytes(pa.array(range(len(column))))
    splits, problems = assign_splits(HashSplit(column="who", **split), keys, {"who": column})
    return splits.tolist(), problems


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


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1))
def test_number_and_its_spelling_are_one_key(keys: list[int]) -> None:
    as_texts = key_bytes(pa.array([str(key) for key in keys])).tolist()
    for type_ in (pa.int64(), pa.float64()):
        assert key_bytes(pa.array(keys, type_)).tolist() == as_texts


def test_a_key_that_is_not_a_number_is_none() -> None:
    assert key_bytes(pa.array([1.5, math.nan, None])).tolist() == [b"1.5", b"", b""]


def test_more_training_rows_leave_the_other_training_rows_where_they_are() -> None:
    keys = [str(i) for i in range(500)]
    small = by_hash(keys, HashSplit(train=60, validation=20, test=20))
    large = by_hash(keys, HashSplit(train=80, validation=10, test=10))
    assert all(large[i] == TRAIN for i in range(500) if small[i] == TRAIN)


@pytest.mark.parametrize(("train", "validation"), [(80, 10), (60, 15), (99, 1), (34, 33)])
def test_shares_are_those_that_chance_gives(train: int, validation: int) -> None:
    rows = 20_000
    percentages = (train, validation, 100 - train - validation)
    split = HashSplit(train=train, validation=validation, test=percentages[2])
    splits = np.array(by_hash([str(i) for i in range(rows)], split))
    assert_binomial(splits, percentages)


def assert_binomial(splits: np.ndarray, percentages: tuple[int, ...]) -> None:
    """Holds shares against five standard deviations of a binomial: one in 1.7 million is out."""
    for index, percent in enumerate(percentages):
        p = percent / 100
        spread = 5 * math.sqrt(len(splits) * p * (1 - p))
        assert abs(int((splits == index).sum()) - len(splits) * p) <= spread


def test_these_groups_have_these_splits_for_ever() -> None:
    groups = pa.array([f"customer-{i}" for i in range(12)])
    shares = {"train": 50, "validation": 30, "test": 20}
    assert by_group(groups, **shares)[0] == EXPECTED_GROUPS


@pytest.mark.parametrize("type_", TEXT_TYPES)
def test_rows_of_a_group_are_in_one_split_and_rows_of_none_are_named(type_: str) -> None:
    splits, problems = by_group(texts(GROUPS, type_), train=40, validation=30, test=30)
    assert splits == by_group(pa.array(GROUPS), train=40, validation=30, test=30)[0]
    assert splits[0] == splits[3]
    assert splits[2] == splits[6]
    assert problems == {1: ("who", "missing"), 4: ("who", "missing")}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([12345678901, None, 7]),
        pa.array([12345678901.0, math.nan, 7.0]),
        pa.array([12345678901.0, None, 7.0]).dictionary_encode(),
        pa.array([Decimal(12345678901), None, Decimal(7)]),
        pa.array(["12345678901", None, "7"]),
    ],
    ids=lambda column: str(column.type).partition(",")[0],
)
def test_a_groups_number_may_be_of_any_type(column: pa.Array) -> None:
    splits, problems = by_group(column, train=50, validation=25, test=25)
    expected = by_group(pa.array([12345678901, None, 7]), train=50, validation=25, test=25)
    assert (splits, problems) == expected
    assert problems == {1: ("who", "missing")}


@pytest.mark.parametrize(
    ("column", "spelled"),
    [
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([0.1, -2.5], pa.float32()), ["0.1", "-2.5"]),
        (pa.array([math.inf, 1e300]), ["inf", "1e+300"]),
        (pa.array([datetime.date(2026, 1, 31), datetime.date(2026, 2, 1)]),
         ["2026-01-31", "2026-02-01"]),
        (pa.array([datetime.datetime(2026, 1, 31, 7)], pa.timestamp("s")), ["2026-01-31 07:00:00"]),
    ],
)  # fmt: skip
def test_a_group_is_hashed_as_the_text_that_spells_it(column: pa.Array, spelled: list[str]) -> None:
    assert key_bytes(column).tolist() == [text.encode() for text in spelled]
    assert by_group(column) == by_group(pa.array(spelled))


@given(
    groups=st.lists(st.sampled_from(["a", "b", "c", "é", "7"]) | st.text(min_size=1), min_size=2),
    train=st.integers(1, 100),
    data=st.data(),
)
def test_a_group_decides_alone_whatever_the_order_and_the_other_rows(
    groups: list[str], train: int, data: st.DataObject
) -> None:
    shares = {"train": train, "validation": (100 - train) // 2}
    shares["test"] = 100 - sum(shares.values())
    together, problems = by_group(pa.array(groups), **shares)
    assert problems == {}
    split_of = dict(zip(groups, together, strict=True))
    assert together == [split_of[group] for group in groups]  # a group is in one split
    cut = data.draw(st.integers(0, len(groups)))
    batches = [groups[:cut], groups[cut:]]
    apart = [s for batch in batches for s in by_group(pa.array(batch, pa.string()), **shares)[0]]
    assert apart == together
    order = data.draw(st.permutations(range(len(groups))))
    shuffled = by_group(pa.array([groups[i] for i in order]), **shares)[0]
    assert shuffled == [together[i] for i in order]


def test_shares_of_groups_are_those_that_chance_gives() -> None:
    groups = [f"customer {i}" for i in range(20_000)]
    assert_binomial(np.array(by_group(pa.array(groups))[0]), (80, 10, 10))


@pytest.mark.parametrize("type_", TEXT_TYPES)
def test_column_names_the_split(type_: str) -> None:
    folds = ["train", "val", "test", "dev", None, "other"]
    splits, problems = by_column(list("abcdef"), folds, type_, validation=("dev", "val"))
    assert splits[:4] == [TRAIN, VALIDATION, TEST, VALIDATION]
    assert problems == {4: ("fold", "missing"), 5: ("fold", "unknown_split")}


def test_column_of_numbers_or_booleans_names_the_split() -> None:
    split = ColumnSplit(by="column", column="fold", train=("0",), validation=("1",), test=("2",))
    folds = pa.array([2.0, 0.0, math.nan, 1.0])
    splits, problems = assign_splits(split, key_bytes(pa.array([1, 2, 3, 4])), {"fold": folds})
    assert splits[[0, 1, 3]].tolist() == [TEST, TRAIN, VALIDATION]
    assert problems == {2: ("fold", "missing")}
    held_out = ColumnSplit(
        by="column", column="held_out", train=("false",), validation=(), test=("true",)
    )
    table = {"held_out": pa.array([True, False])}
    assert assign_splits(held_out, key_bytes(pa.array([1, 2])), table)[0].tolist() == [TEST, TRAIN]


def test_these_training_rows_are_taken_for_ever() -> None:
    keys = [f"listing-{i}" for i in range(12)]
    shares = {"validation": share(30), "test": share(20)}
    assert by_column(keys, ["train"] * 12, **shares) == (EXPECTED_SHARES, {})


@given(
    rows=st.lists(
        st.tuples(st.text(min_size=1), st.sampled_from(["train", "test", "other", None])),
        min_size=1,
    ),
    percent=st.integers(1, 50),
)
def test_validation_rows_are_taken_from_training_rows_by_their_keys_alone(
    rows: list[tuple[str, str | None]], percent: int
) -> None:
    keys, folds = [key for key, _ in rows], [fold for _, fold in rows]
    splits, problems = by_column(keys, folds, validation=share(percent))
    alone = [by_column([key], [fold], validation=share(percent))[0][0] for key, fold in rows]
    assert splits == alone
    plain, plain_problems = by_column(keys, folds)
    assert problems == plain_problems
    for taken, declared in zip(splits, plain, strict=True):
        assert taken == declared or (declared, taken) == (TRAIN, VALIDATION)
    assert by_column(keys[::-1], folds[::-1], validation=share(percent))[0] == splits[::-1]


@given(percent=st.integers(1, 49), more=st.integers(1, 50))
def test_test_rows_stay_whatever_share_validates(percent: int, more: int) -> None:
    keys = [str(i) for i in range(200)]
    folds = ["train"] * 200
    without = by_column(keys, folds, validation=(), test=share(percent))[0]
    both = by_column(keys, folds, validation=share(more), test=share(percent))[0]
    assert [s == TEST for s in both] == [s == TEST for s in without]


@pytest.mark.parametrize(("validation", "test"), [(15, 15), (50, 1), (5, 50)])
def test_shares_of_the_training_rows_are_those_that_chance_gives(
    validation: int, test: int
) -> None:
    keys = [str(i) for i in range(20_000)]
    shares = {"validation": share(validation), "test": share(test)}
    splits = np.array(by_column(keys, ["train"] * len(keys), **shares)[0])
    assert_binomial(splits, (100 - validation - test, validation, test))


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([1, 2, 3, None], (2, 3)),
        ([1.0, 2.0, 3.0, None], (2, 3)),
        (["2026-01-01", "2026-02-01", "2026-03-01", None], ("2026-02-01", "2026-03-01")),
        (["1", "2", "3", None], (2, 3)),
        ([Decimal("1.5"), Decimal("2.5"), Decimal("3.5"), None], (2, 3)),
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


@pytest.mark.parametrize("type_", TEXT_TYPES)
@pytest.mark.parametrize(
    ("values", "bounds"),
    [(["2026-01-01", "2026-02-01", "2026-03-01", None], ("2026-02-01", "2026-03-01")),
     (["1", "2", "3", None], (2, 3))],
)  # fmt: skip
def test_time_in_a_text_of_any_type_separates(
    type_: str, values: list[str | None], bounds: tuple[str | int, str | int]
) -> None:
    split = TimeSplit(by="time", column="t", validation_from=bounds[0], test_from=bounds[1])
    splits, problems = assign_splits(split, np.zeros(4), {"t": texts(values, type_)})
    assert splits[:3].tolist() == [TRAIN, VALIDATION, TEST]
    assert problems == {3: ("t", "missing")}


@pytest.mark.parametrize(
    "type_",
    [
        *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
        pa.timestamp("ms", "UTC"),
        pa.date32(),
        pa.date64(),
    ],
    ids=str,
)
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "dictionary"])
def test_time_of_any_type_separates(type_: pa.DataType, encoded: bool) -> None:
    days = [datetime.datetime(2026, m, 1) for m in (1, 2, 3)] + [None]
    column = pa.array(days, pa.timestamp("us")).cast(type_)
    split = TimeSplit(by="time", column="t", validation_from="2026-02-01", test_from="2026-03-01")
    table = {"t": column.dictionary_encode() if encoded else column}
    splits, problems = assign_splits(split, np.zeros(4), table)
    assert splits[:3].tolist() == [TRAIN, VALIDATION, TEST]
    assert problems == {3: ("t", "missing")}


def test_time_that_is_not_a_number_does_not_train() -> None:
    split = TimeSplit(by="time", column="t", validation_from=2, test_from=3)
    for column in (pa.array([1.0, math.nan]), pa.array(["1", "nan"])):
        _, problems = assign_splits(split, np.zeros(2), {"t": column})
        assert problems == {1: ("t", "missing")}


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_the_empty_text_is_a_missing_time_and_does_not_train(type_: pa.DataType) -> None:
    split = TimeSplit(by="time", column="t", validation_from="2026-02", test_from="2026-03")
    column = pa.array(["2026-01-31", "", "2026-02-01", None], type_)
    splits, problems = assign_splits(split, np.zeros(4), {"t": column})
    assert problems == {1: ("t", "missing"), 3: ("t", "missing")}
    assert splits[[0, 2]].tolist() == [TRAIN, VALIDATION]


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
