from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.contract.declaration.training import TrainingSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.partition import Partition
from transforms.source.partitions import PartitionOrder, between, choose, hive_value


def ordered(*values: str) -> list[str]:
    return sorted(values, key=PartitionOrder(values).key)


def parts(*values: str) -> list[Partition]:
    return [Partition(name=f"p={v}", value=v, fingerprint="f", files=()) for v in values]


def chosen(partitions: list[Partition], **choice: object) -> list[str | None]:
    training = TrainingSpec.model_validate({"partitions": choice or "all"})
    return [part.value for part in choose(partitions, training)]


@pytest.mark.parametrize(
    "values",
    [
        ("2.0", "11.0"),
        ("-1", "0.5", "1e3"),
        ("20251231", "20260101"),
        ("2025-12-31", "2026-01", "2026-01-02T05", "2026-01-02 06:30"),
        ("2026-01-01T01:00+02:00", "2026-01-01T00:00"),
        ("11.0", "2.0", "draft"),  # a mixture is text
        ("2026-01-01", "2026-13-01"),  # as there is no such month
        ("1", "nan"),
    ],
)
def test_values_compare_by_what_they_all_are(values: tuple[str, ...]) -> None:
    assert ordered(*values[::-1]) == list(values)


NUMBERS = st.one_of(
    st.integers().map(str), st.decimals(-1000, 1000, places=2).map(lambda d: f"{d:f}")
)
DATES = st.one_of(
    st.dates().map(str), st.datetimes().map(str), st.dates().map(lambda d: d.isoformat()[:7])
)


@given(st.lists(st.one_of(NUMBERS, DATES, st.text()), unique=True), st.randoms())
def test_any_values_have_one_order_however_they_come(values: list[str], random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert ordered(*values) == ordered(*shuffled)


@given(st.lists(st.integers(), unique=True, min_size=1))
def test_numbers_are_in_the_order_of_numbers(numbers: list[int]) -> None:
    assert ordered(*map(str, numbers)) == [str(number) for number in sorted(numbers)]


@given(st.lists(st.datetimes(), unique=True, min_size=1))
def test_dates_are_in_the_order_of_time(times: list[datetime]) -> None:
    assert ordered(*map(str, times)) == [str(time) for time in sorted(times)]


@given(st.lists(st.dates(), unique=True, min_size=1), st.dates(), st.dates())
def test_a_range_is_inclusive_and_keeps_the_order(days: list[date], a: date, b: date) -> None:
    first, last = sorted((a, b))
    within = between(parts(*map(str, sorted(days))), str(first), str(last), place="x")
    assert [part.value for part in within] == [str(d) for d in sorted(days) if first <= d <= last]


def test_all_the_last_or_a_range_train() -> None:
    releases = parts("0.6", "2.0", "11.0", "12.1")
    assert chosen(releases) == ["0.6", "2.0", "11.0", "12.1"]
    assert chosen(releases, last=2) == ["11.0", "12.1"]
    assert chosen(releases, last=9) == ["0.6", "2.0", "11.0", "12.1"]
    assert chosen(releases, **{"from": 2.0, "to": 12}) == ["2.0", "11.0"]
    assert chosen(releases, to="2") == ["0.6", "2.0"]


def test_a_month_or_a_day_is_meant_to_its_end() -> None:
    hours = [datetime(2026, 1, 31) + timedelta(hours=12 * n) for n in range(4)]
    partitions = parts(*(f"{hour:%Y-%m-%dT%H}" for hour in hours))
    assert len(chosen(partitions, to="2026-01")) == 2
    assert len(chosen(partitions, to="2026-01-31")) == 2
    assert len(chosen(partitions, to="2026-02-01T00")) == 3
    assert len(chosen(partitions, **{"from": "2026-02"})) == 2
    assert len(chosen(partitions, to="9999-12-31")) == 4


def test_a_range_without_partitions_is_refused_with_those_there_are() -> None:
    with pytest.raises(BraidError, match=r"p=1 to p=2, received from 3 to 4"):
        chosen(parts("1", "2"), **{"from": 3, "to": 4})


def test_a_bound_of_another_sort_is_refused() -> None:
    with pytest.raises(BraidError, match=r"expected a date, as the partitions are .* 'draft'"):
        chosen(parts("2026-01-01"), **{"from": "draft"})


@pytest.mark.parametrize(
    ("folder", "value"),
    [
        ("2026-01-31", "2026-01-31"),
        ("__HIVE_DEFAULT_PARTITION__", None),
        ("", None),
        ("a%2Fb", "a/b"),
        ("2026-01-31%2005%3A00", "2026-01-31 05:00"),
        ("100%25", "100%"),
        ("%C3%A9", "é"),
        ("%FF", "%FF"),  # no UTF-8
        ("100%", "100%"),
        ("a+b", "a+b"),
    ],
)
def test_a_hive_folder_stands_for_a_value(folder: str, value: str | None) -> None:
    assert hive_value(folder) == value


def test_a_missing_value_is_before_all_others_whatever_these_are() -> None:
    for values in (("10", "9"), ("2026-02-01", "2026-01-01"), ("b", "a")):
        order = PartitionOrder([*values, None])
        assert sorted([*values, None], key=order.key) == [None, *reversed(values)]


def test_a_missing_value_is_in_no_range_with_a_bound() -> None:
    missing = Partition(name="p=__HIVE_DEFAULT_PARTITION__", value=None, fingerprint="f", files=())
    partitions = [missing, *parts("1", "2")]
    assert chosen(partitions, last=2) == ["1", "2"]
    assert chosen(partitions) == [None, "1", "2"]
    for bounds in (("1", None), (None, "2")):
        assert [part.value for part in between(partitions, *bounds, place="x")] == ["1", "2"]
    with pytest.raises(BraidError, match="expected a number"):
        between(partitions, "soon", None, place="x")
