from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.transforms.conftest import write_rows
from transforms.contract.declaration.parsing import load, parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.source import SourceSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import FOLDERS, Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.source.scan import check_schema, scan, source_folder

ROWS = {"id": ["a", "b"], "area": [1.0, 2.0], "sold": [True, False]}


def pipeline(path: Path, **source: Any) -> PipelineSpec:
    return parse(
        {
            "name": "p",
            "source": {"path": str(path), "key": "id"} | source,
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
        }
    )


def partitions(path: Path, **source: Any) -> list[str]:
    return [p.name for p in scan(pipeline(path, **source).source).partitions]


def test_file_folder_and_glob_name_the_same_rows(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "data" / "a.parquet")
    (tmp_path / "data" / "notes.txt").touch()
    (tmp_path / "data" / "_SUCCESS.parquet").touch()
    paths = [tmp_path / "data", tmp_path / "data" / "a.parquet", tmp_path / "data" / "*.parquet"]
    for path in paths[:2]:
        (partition,) = scan(SourceSpec(path=str(path), key="id")).partitions
        assert [Path(file.path).name for file in partition.files] == ["a.parquet"]
    (tmp_path / "data" / "_SUCCESS.parquet").unlink()
    assert len({scan(SourceSpec(path=str(p), key="id")).partitions[0].fingerprint for p in paths})
    assert partitions(paths[2]) == ["all"]


def test_file_uri_is_read_like_a_path(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "a.parquet")
    scanned = scan(SourceSpec(path=f"file://{tmp_path}", key="id"))
    assert [Path(file.path).name for file in scanned.files()] == ["a.parquet"]


def test_partitions_are_in_the_order_of_their_values(tmp_path: Path) -> None:
    for release in ("11.0", "2.0", "0.6"):
        write_rows(ROWS, tmp_path / f"release={release}" / "a.parquet")
    assert partitions(tmp_path, partition_by="release") == [
        "release=0.6",
        "release=2.0",
        "release=11.0",
    ]


@pytest.mark.parametrize(
    ("pattern", "paths", "expected"),
    [
        (
            "%Y/%m/%d",
            ["2026/01/31/a", "2025/12/01/a", "2025/12/01/b"],
            ["2025-12-01", "2026-01-31"],
        ),
        ("%Y/%m", ["2026/01/x/a"], ["2026-01"]),
        ("%d.%m.%Y", ["01.02.2026", "02.01.2026"], ["2026-01-02", "2026-02-01"]),
        ("day %Y%m%d, %H", ["a/day 20260131, 05"], ["2026-01-31T05"]),
        ("%Y%m%d", ["20269931-of-20260131"], ["2026-01-31"]),
    ],
)
def test_a_date_in_the_path_is_a_partition(
    tmp_path: Path, pattern: str, paths: list[str], expected: list[str]
) -> None:
    folder = tmp_path / "20200101" / "2020" / "01" / "01"  # what leads to the table is no part
    for path in paths:
        write_rows(ROWS, folder / f"{path}.parquet")
    by = {"path_date": pattern}
    assert partitions(folder, partition_by=by) == expected
    assert partitions(folder / "*.parquet", partition_by=by) == expected


@pytest.mark.parametrize("path", ["2026/31/01/a", "12026/01/310/a", "a"])
def test_a_path_without_a_date_is_refused(tmp_path: Path, path: str) -> None:
    write_rows(ROWS, tmp_path / f"{path}.parquet")
    with pytest.raises(BraidError, match="expected a date like %Y/%m/%d in the path below"):
        partitions(tmp_path, partition_by={"path_date": "%Y/%m/%d"})


def test_each_file_is_a_partition_in_the_order_of_what_it_is_called(tmp_path: Path) -> None:
    for release in ("11.0", "2.0"):
        write_rows(ROWS, tmp_path / f"{release}.parquet")
    assert partitions(tmp_path, partition_by={"file": True}) == ["2.0.parquet", "11.0.parquet"]
    write_rows(ROWS, tmp_path / "old" / "2.0.parquet")
    parts = scan(pipeline(tmp_path, partition_by={"file": True}).source).partitions
    assert [(part.name, len(part.files)) for part in parts] == [
        ("11.0.parquet", 1),
        ("2.0.parquet", 1),
        ("old/2.0.parquet", 1),
    ]
    assert partitions(tmp_path / "2.0.parquet", partition_by={"file": True}) == ["2.0.parquet"]


def test_a_date_in_the_path_is_no_column(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "2026" / "01" / "a.parquet")
    declared = pipeline(tmp_path, partition_by={"path_date": "%Y/%m"})
    check_schema(declared, scan(declared.source).files())
    assert declared.source.partition_column is None


@pytest.mark.parametrize("key", ["id", None])
def test_fingerprint_follows_the_files_and_not_their_place(tmp_path: Path, key: str | None) -> None:
    def fingerprint(folder: str) -> str:
        return scan(SourceSpec(path=str(tmp_path / folder), key=key)).partitions[0].fingerprint

    write_rows(ROWS, tmp_path / "here" / "a.parquet")
    first = fingerprint("here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert fingerprint("there") == first
    os.utime(tmp_path / "there" / "a.parquet", (1, 1))
    touched = fingerprint("there")
    assert touched != first
    (tmp_path / "there" / "a.parquet").rename(tmp_path / "there" / "b.parquet")
    assert fingerprint("there") not in (first, touched)


@pytest.mark.parametrize(("key", "is_same"), [("id", True), (None, False)])
def test_a_file_in_another_folder_has_other_rows_if_no_key_names_them(
    tmp_path: Path, key: str | None, is_same: bool
) -> None:
    def fingerprint() -> str:
        source = SourceSpec(path=str(tmp_path), key=key)
        return scan(source).partitions[0].fingerprint

    write_rows(ROWS, tmp_path / "shop" / "a.parquet")
    first = fingerprint()
    (tmp_path / "shop").rename(tmp_path / "till")
    assert (fingerprint() == first) is is_same


@pytest.mark.parametrize(
    ("path", "message"),
    [("nowhere", "received nothing there"), ("empty", "file that ends in .parquet")],
)
def test_source_without_files_is_refused(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BraidError, match=message):
        partitions(tmp_path / path)


def test_file_outside_the_partitions_is_refused(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "a.parquet")
    with pytest.raises(BraidError, match="expected a folder 'day=VALUE'"):
        partitions(tmp_path, partition_by="day")


def check(folder: Path, **source: Any) -> None:
    declared = pipeline(folder, **source)
    check_schema(declared, scan(declared.source).files())


def test_missing_column_is_refused_with_the_columns_there_are(tmp_path: Path) -> None:
    write_rows({"id": ["a"], "size": [1.0], "sold": [True]}, tmp_path / "a.parquet")
    with pytest.raises(BraidError, match=r"features.area, in .*a column 'area', received the") as e:
        check(tmp_path)
    assert "id, size, sold" in str(e.value)


def test_column_of_a_wrong_type_is_refused_with_its_file(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "a.parquet")
    write_rows(ROWS | {"area": [b"x", b"y"]}, tmp_path / "b.parquet")
    with pytest.raises(BraidError, match=r"column 'area' of .*b.parquet: expected a number column"):
        check(tmp_path)


def test_text_file_named_parquet_is_refused(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("id,area,sold\n1,2,true\n")
    with pytest.raises(BraidError, match=r"b.parquet: expected a whole Parquet file"):
        check(tmp_path)


def test_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(BraidError, match=r"a.parquet: expected a whole Parquet file"):
        check(tmp_path)


def test_partition_key_counts_as_a_column(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "day=1" / "a.parquet")
    declared = parse(
        {
            "name": "p",
            "source": {"path": str(tmp_path), "key": "id", "partition_by": "day"},
            "features": {"day": {"kind": "categorical"}},
            "targets": {"sold": {"kind": "binary"}},
        }
    )
    check_schema(declared, scan(declared.source).files())


def test_zip_codes_in_csv_have_no_type_to_object_to(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,area,sold\na,01234,true\n")
    check(tmp_path, format="csv")


def test_column_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,area,area,sold\na,1,2,true\n")
    with pytest.raises(BraidError, match="received 'area' more than once"):
        check(tmp_path, format="csv")


def test_key_that_cannot_name_a_row_is_refused(tmp_path: Path) -> None:
    write_rows(ROWS | {"id": [[1], [2]]}, tmp_path / "a.parquet")
    with pytest.raises(BraidError, match=r"source.key, column 'id' of .* received type list"):
        check(tmp_path)


def check_split(
    folder: Path, column: pa.Array, *, features_only: bool = False, **split: Any
) -> None:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(ROWS | {"who": column}), folder / "a.parquet")
    declared = pipeline(folder)
    document = declared.model_dump(mode="json") | {"split": split | {"column": "who"}}
    declared = parse(document)
    check_schema(declared, scan(declared.source).files(), features_only=features_only)


NUMBERED = {"validation_from": 2, "test_from": 3}
HASH, COLUMN, TIME = {"by": "hash"}, {"by": "column"}, {"by": "time"} | NUMBERED


@pytest.mark.parametrize("split", [HASH, COLUMN, TIME], ids=lambda split: split["by"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array(["1", "2"]),
        pa.array(["1", "2"], pa.large_string()),
        pa.array(["1", "2"], pa.string_view()),
        pa.array(["1", "2"]).dictionary_encode(),
        pa.array([1, 2], pa.uint8()),
        pa.array([1.5, 2]),
        pa.array([1, 2], pa.decimal128(5, 2)),
    ],
    ids=lambda column: str(column.type).partition(",")[0],
)
def test_split_column_may_be_of_any_type_of_text_or_number(
    tmp_path: Path, split: dict[str, Any], column: pa.Array
) -> None:
    check_split(tmp_path, column, **split)


@pytest.mark.parametrize("split", [HASH, COLUMN], ids=lambda split: split["by"])
def test_split_column_may_be_of_booleans_dates_or_nothing(
    tmp_path: Path, split: dict[str, Any]
) -> None:
    for column in (pa.array([True, False]), pa.array([0, 1], pa.date32()), pa.nulls(2)):
        check_split(tmp_path, column, **split)


@pytest.mark.parametrize("split", [HASH, COLUMN], ids=lambda split: split["by"])
@pytest.mark.parametrize("column", [pa.array([[1], [2]]), pa.array([b"a", b"b"])], ids=str)
def test_split_column_of_lists_or_bytes_is_refused(
    tmp_path: Path, split: dict[str, Any], column: pa.Array
) -> None:
    message = r"split.column, column 'who' of .*a.parquet: expected a column of strings, numbers"
    with pytest.raises(BraidError, match=message):
        check_split(tmp_path, column, **split)


def test_group_column_is_needed_to_train_and_not_to_predict(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "a.parquet")
    declared = parse(pipeline(tmp_path).model_dump(mode="json") | {"split": {"column": "who"}})
    with pytest.raises(BraidError, match=r"split.column, in .*expected a column 'who'"):
        check_schema(declared, scan(declared.source).files())
    check_schema(declared, scan(declared.source).files(), features_only=True)
    check_split(tmp_path, pa.array([[1], [2]]), features_only=True)


def test_group_may_be_the_partition(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "day=1" / "a.parquet")
    declared = pipeline(tmp_path, partition_by="day").model_dump(mode="json")
    declared = parse(declared | {"split": {"column": "day"}})
    check_schema(declared, scan(declared.source).files())


NAMES = ["a[1]", "[ab]", "st*r", "wh?t", "{a,b}", "sp ce", "per%20cent", "[", "*", "!x", "ü"]
DECLARED = ["data", "data/a.parquet", "data/*.parquet", "data/**/*.parquet", "d?ta/[a-d]*"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("declared", DECLARED)
def test_a_pattern_is_what_was_declared_and_no_folder_above_it(
    tmp_path: Path, name: str, declared: str
) -> None:
    write_rows(ROWS, tmp_path / name / "data" / "day=1" / "b.parquet")
    write_rows(ROWS, tmp_path / name / "data" / "a.parquet")
    write_rows(ROWS, tmp_path / "other" / "data" / "a.parquet")
    (tmp_path / name / "pipeline.yaml").write_text(
        yaml.safe_dump(pipeline(Path(declared)).model_dump(mode="json"))
    )
    source = load(tmp_path / name / "pipeline.yaml").source
    expected = {f"{tmp_path / name}/data/a.parquet"}
    if declared != "data/a.parquet":
        expected.add(f"{tmp_path / name}/data/day=1/b.parquet")
    assert {file.path for file in scan(source).files()} == expected
    folder = source_folder(source).rstrip("/")
    assert folder == str(tmp_path / name / ("data" if declared.startswith("data") else ""))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_read_and_images_start_beside_it(tmp_path: Path, name: str) -> None:
    write_rows(ROWS, tmp_path / f"{name}.parquet")
    write_rows(ROWS, tmp_path / "other.parquet")
    source = SourceSpec(path=str(tmp_path / f"{name}.parquet"), key="id")
    assert [file.path for file in scan(source).files()] == [source.path]
    assert source_folder(source) == str(tmp_path)


def test_a_folder_that_is_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "table.parquet" / "part-0.parquet")
    source = SourceSpec(path=str(tmp_path / "table.parquet"), key="id", partition_by={"file": True})
    assert [part.name for part in scan(source).partitions] == ["part-0.parquet"]
    assert source_folder(source) == source.path


@pytest.mark.parametrize("declared", [".", "*.parquet", "**/*.parquet"])
@pytest.mark.parametrize("root", ["workspace", "deep/er/workspace", "."])
def test_what_braid_writes_below_the_source_is_none_of_its_rows(
    tmp_path: Path, root: str, declared: str
) -> None:
    write_rows(ROWS, tmp_path / "a.parquet")
    write_rows(ROWS, tmp_path / "windows" / "mine.parquet")
    source = SourceSpec(path=str(tmp_path / declared), key="id")
    before = {file.path for file in scan(source).files()}
    workspace = Workspace(tmp_path / root)
    with exclusive_lock(workspace.lock("run", "flats"), holder="flats"):
        pass
    for folder in FOLDERS:
        write_rows(ROWS, workspace.root / folder / "x" / "b.parquet")
    hidden = {str(tmp_path / "windows" / "mine.parquet")} if root == "." else set()
    assert {file.path for file in scan(source).files()} == before - hidden


def test_every_folder_of_a_workspace_is_named() -> None:
    workspace = Workspace(Path("w"))
    named = {
        "transform": workspace.transform("a"),
        "statistics": workspace.statistics("a", "b", "c"),
        "keys": workspace.keys("a", "b", "c"),
        "drift": workspace.drift("a", {}),
        "shards": workspace.shards("a", "b", "c"),
        "manifest": workspace.manifest("a", "b", "c"),
        "unit": workspace.unit("a", "b", "c", "d"),
        "rejects": workspace.rejects("a", "b", "c"),
        "windows": workspace.windows("a"),
        "run": workspace.run("a", "b"),
        "backfills": workspace.backfills("a"),
        "tunings": workspace.tunings("a"),
        "beam_jobs": workspace.beam_jobs(),
        "lock": workspace.lock("run", "a"),
    }
    own = {"registry", "cache"}  # of MLflow, and of a store in a bucket
    assert {path.parts[1] for path in named.values()} | own == set(FOLDERS)
    methods = {name for name in vars(Workspace) if not name.startswith(("_", "read_", "is_"))}
    assert methods - set(named) == {
        *("declared", "store", "stored", "poll_seconds", "transform_folder", "runs"),
        *("beam_signs", "copied_runs"),  # of a bucket alone
        *("newest_transform", "transforms_of", "committed", "remove_units", "remove_partition"),
    }, "a new folder is among those that no source may contain"
