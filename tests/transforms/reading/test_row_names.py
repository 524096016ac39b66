from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.conftest import write_rows
from tests.transforms.reading.tables import ROWS, pipeline, read, write
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.reading.batches import BatchReader
from transforms.reading.keys import KeysChecked, check_unique
from transforms.reading.unlabelled import read_features, row_columns
from transforms.source.scan import check_schema, open_filesystem, scan
from transforms.source.units import plan_units

KEYLESS: dict[str, Any] = {"key": None}


def names(folder: Path, batch_rows: int = 100, at_least: int = 1, **declared: Any) -> list[str]:
    batches = read(pipeline(folder, **declared), batch_rows, at_least)
    return [key.decode() for batch in batches for key in batch.keys]


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl", "arrow"])
def test_a_row_without_a_key_is_named_by_its_file_and_its_number(
    tmp_path: Path, format_: str
) -> None:
    write(ROWS, tmp_path / "day=1", format_)
    expected = [f"day=1/a.{format_}:{number}" for number in (1, 2, 3)]
    assert names(tmp_path, 2, source=KEYLESS) == expected
    assert names(tmp_path, 100, source=KEYLESS | {"partition_by": "day"}) == expected


def test_a_name_does_not_depend_on_how_a_file_is_cut_or_read(tmp_path: Path) -> None:
    count = 5_000
    rows = pa.table({"zip": ["1"] * count, "area": [1.0] * count, "sold": [True] * count})
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=2_100)
    expected = [f"a.parquet:{number}" for number in range(1, count + 1)]
    assert names(tmp_path, 999, source=KEYLESS) == expected
    assert names(tmp_path, 4_096, 8, source=KEYLESS) == expected


def test_rejects_of_rows_without_a_key_have_their_names(tmp_path: Path) -> None:
    write({**ROWS, "area": ["1", "far", "3"]}, tmp_path, "csv")
    (batch,) = read(
        pipeline(
            tmp_path, source=KEYLESS, features={"area": {"kind": "numeric", "invalid": "reject"}}
        )
    )
    assert [(r.key, r.reason) for r in batch.rejects] == [("a.csv:2", "not_a_number")]


def test_rows_without_a_key_are_counted_where_no_column_is_asked_for(tmp_path: Path) -> None:
    write(ROWS, tmp_path, "parquet")
    declared = pipeline(tmp_path, source=KEYLESS)
    filesystem, _ = open_filesystem(declared.source.path)
    (part,) = scan(declared.source).partitions
    (unit,) = plan_units(part, format_=None, filesystem=filesystem, at_least=1)
    (batch,) = BatchReader(declared, set()).read(unit, 10)
    assert len(batch.keys) == 3


def test_several_columns_name_a_row_together(tmp_path: Path) -> None:
    table = {"shop": ["a/b", "a", None, "%"], "till": [1, 2, 3, 4], "area": [1.0] * 4}
    write({**table, "zip": ["1"] * 4, "sold": [True] * 4}, tmp_path, "parquet")
    declared = pipeline(tmp_path, source={"key": ["shop", "till"]})
    check_schema(declared, scan(declared.source).files())
    (batch,) = read(declared)
    assert batch.keys.tolist() == [b"a%2Fb/1", b"a/2", b"%25/4"]
    assert [(r.column, r.reason) for r in batch.rejects] == [("shop", "missing")]


def test_keys_of_several_columns_are_unique_together(tmp_path: Path) -> None:
    source = {"key": ["day", "till"], "partition_by": "day"}
    for day, tills in (("1", [1, 2]), ("2", [1, 2])):
        write_rows({"till": tills}, tmp_path / "data" / f"day={day}" / "a.parquet")
    declared = pipeline(tmp_path / "data", source=source)
    workspace = Workspace(tmp_path / "workspace")
    parts = scan(declared.source).partitions
    assert check_unique(declared, parts, workspace) == KeysChecked(rows=4, partitions_read=2)
    write_rows({"till": [3, 3]}, tmp_path / "data" / "day=2" / "b.parquet")
    with pytest.raises(BraidError, match=r"source.key 'day', 'till': .* the key '2/3' twice"):
        check_unique(declared, scan(declared.source).partitions, workspace)


def test_a_missing_column_of_a_key_is_refused(tmp_path: Path) -> None:
    write(ROWS, tmp_path, "parquet")
    declared = pipeline(tmp_path, source={"key": ["id", "till"]})
    with pytest.raises(BraidError, match=r"source.key, in .*: expected a column 'till'"):
        check_schema(declared, scan(declared.source).files())


@pytest.mark.parametrize(
    ("key", "columns", "keys"),
    [
        ("id", ("id",), [b"a", b"b", b"c"]),
        (["id", "unused"], ("id", "unused"), [b"a/1", b"b/2", b"c/3"]),
        (["id", "till"], ("row",), [b"a.csv:1", b"a.csv:2", b"a.csv:3"]),
        ("till", ("row",), [b"a.csv:1", b"a.csv:2", b"a.csv:3"]),
        (None, ("row",), [b"a.csv:1", b"a.csv:2", b"a.csv:3"]),
    ],
)
def test_rows_to_predict_need_no_key(
    tmp_path: Path, key: Any, columns: tuple[str, ...], keys: list[bytes]
) -> None:
    write(ROWS, tmp_path, "csv")
    declared = pipeline(tmp_path / "elsewhere", source={"key": key})
    path = str(tmp_path / "a.csv")
    (batch,) = read_features(declared, path, 100)
    assert (row_columns(declared, path), batch.keys.tolist()) == (columns, keys)
    assert batch.refused == {}


def test_the_partition_that_a_key_has_a_part_of_may_be_a_folder_of_rows_to_predict(
    tmp_path: Path,
) -> None:
    write(ROWS, tmp_path / "day=1", "csv")
    declared = pipeline(
        tmp_path / "elsewhere", source={"key": ["day", "id"], "partition_by": "day"}
    )
    (batch,) = read_features(declared, str(tmp_path), 100)
    assert batch.keys.tolist() == [b"1/a", b"1/b", b"1/c"]
    (batch,) = read_features(declared, str(tmp_path / "day=1" / "a.csv"), 100)
    assert batch.keys.tolist() == [b"1/a", b"1/b", b"1/c"]
