"""The range of partitions that a backfill takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.steps.backfill import partitions_between, partitions_of_source
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError, DeclarationError


@pytest.fixture
def days(tmp_path) -> Path:
    """Four partitions, whose files nobody opens."""
    for day in ("2", "9", "10", "11"):
        path = tmp_path / "data" / f"day={day}" / "a.parquet"
        path.parent.mkdir(parents=True)
        path.touch()
    return tmp_path / "data"


def _pipeline(folder: Path):
    return parse(
        {
            "name": "flats",
            "source": {"path": str(folder), "key": "id", "partition_by": "day"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
        }
    )


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, ["day=2", "day=9", "day=10", "day=11"]),
        ("9", "10", ["day=9", "day=10"]),
        ("10", None, ["day=10", "day=11"]),
        (None, "9", ["day=2", "day=9"]),
        ("day=9", "9", ["day=9"]),
    ],
)
def test_both_bounds_belong_to_the_range_and_may_be_left_out(days, first, last, expected):
    everything = partitions_of_source(_pipeline(days))
    assert len(everything) == 4
    chosen = partitions_between(everything, first, last)
    assert [partition.name for partition in chosen] == expected


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("12", None, "day=2 to day=11, received 12 to the last, where there is none"),
        ("11", "2", "received 11 to 2, where there is none"),
        ("May", None, r"expected a number, .* received 'May'"),
    ],
)
def test_a_range_that_is_not_there_is_refused(days, first, last, message):
    with pytest.raises(BraidError, match=message):
        partitions_between(partitions_of_source(_pipeline(days)), first, last)


def test_windows_are_no_partitions(days):
    windows = {"time": "t", "length": 3, "values": ["sales"]}
    pipeline = parse(
        {
            "name": "w",
            "source": {"path": str(days), "key": "id", "windows": windows},
            "split": {"by": "time", "column": "t", "validation_from": 5, "test_from": 7},
            "features": {"sales": {"kind": "sequence", "length": 3}},
            "targets": {"sales_next_1": {"kind": "numeric"}},
        }
    )
    with pytest.raises(DeclarationError, match="windows, which are cut from the whole table"):
        partitions_of_source(pipeline)
