from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.transforms.conftest import write_rows
from transforms.contract.declaration import parse
from transforms.contract.errors import BraidError
from transforms.keys import check_unique
from transforms.source import scan


def count(folder: Path) -> int:
    pipeline = parse(
        {
            "name": "p",
            "source": {"path": str(folder), "key": "id"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
        }
    )
    return check_unique(pipeline, scan(pipeline.source).partitions)


@pytest.mark.parametrize("keys", [["a", "b", None, None], [1, 2, None, None]])
def test_keys_of_their_own_are_counted_without_nulls(tmp_path: Path, keys: list[Any]) -> None:
    write_rows({"id": keys}, tmp_path / "a.parquet")
    assert count(tmp_path) == 2


def test_shared_key_is_named_with_both_files(tmp_path: Path) -> None:
    write_rows({"id": ["a", "b", "c"]}, tmp_path / "a.parquet")
    write_rows({"id": ["d", "b", "c"]}, tmp_path / "b.parquet")
    with pytest.raises(BraidError, match=r"the key 'b' twice, in .*a.parquet and in .*b.parquet"):
        count(tmp_path)
    with pytest.raises(BraidError, match="2 keys are shared in all"):
        count(tmp_path)
