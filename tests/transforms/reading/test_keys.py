from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.conftest import write_rows
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.reading.keys import KeysChecked, check_unique
from transforms.source.scan import scan


def count(folder: Path, **source: Any) -> KeysChecked:
    pipeline = parse(
        {
            "name": "p",
            "source": {"path": str(folder), "key": "id"} | source,
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
        }
    )
    partitions = scan(pipeline.source).partitions
    return check_unique(pipeline, partitions, Workspace(folder.parent / "workspace"))


@pytest.mark.parametrize(
    "keys", [["a", "b", None, ""], [1, 2, None, None], [1.0, 2.5, math.nan, math.nan, None]]
)
def test_keys_of_their_own_are_counted_without_nulls(tmp_path: Path, keys: list[Any]) -> None:
    write_rows({"id": keys}, tmp_path / "data" / "a.parquet")
    assert count(tmp_path / "data").rows == 2


def test_keys_of_a_partition_are_read_once(tmp_path: Path) -> None:
    days = {"partition_by": "day"}
    for day in ("1", "2"):
        write_rows({"id": [f"{day}a", f"{day}b"]}, tmp_path / "data" / f"day={day}" / "a.parquet")
    assert count(tmp_path / "data", **days) == KeysChecked(rows=4, partitions_read=2)
    write_rows({"id": ["3a"]}, tmp_path / "data" / "day=3" / "a.parquet")
    assert count(tmp_path / "data", **days) == KeysChecked(rows=5, partitions_read=1)
    write_rows({"id": ["2b", "3a"]}, tmp_path / "data" / "day=3" / "a.parquet")
    with pytest.raises(BraidError, match=r"the key '2b' twice, in .*day=2/.* and in .*day=3/"):
        count(tmp_path / "data", **days)


def test_shared_key_is_named_with_both_files(tmp_path: Path) -> None:
    write_rows({"id": ["a", "b", "c"]}, tmp_path / "data" / "a.parquet")
    write_rows({"id": ["d", "b", "c"]}, tmp_path / "data" / "b.parquet")
    with pytest.raises(BraidError, match=r"the key 'b' twice, in .*a.parquet and in .*b.parquet"):
        count(tmp_path / "data")
    with pytest.raises(BraidError, match="2 keys are shared in all"):
        count(tmp_path / "data")


def test_a_sensitive_key_is_not_named(tmp_path: Path) -> None:
    write_rows({"id": ["Ada L.", "Ada L."]}, tmp_path / "data" / "a.parquet")
    with pytest.raises(BraidError, match=r"the key '\(sensitive\)' twice, in .*a.parquet") as told:
        count(tmp_path / "data", sensitive_key=True)
    assert "Ada" not in str(told.value)


def test_a_row_that_is_cut_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,area\n1,2\nAda L.,2,3\n")
    with pytest.raises(BraidError, match="Expected 2 columns, got 3") as told:
        count(tmp_path, format="csv")
    assert "Ada" not in str(told.value)
