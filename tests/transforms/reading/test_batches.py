from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as paipc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.conftest import picture, write_rows
from tests.transforms.reading.tables import ROWS, pipeline, read, write
from transforms.contract.errors import BraidError
from transforms.contract.workspace.partition import Partition, SourceFile
from transforms.source import formats
from transforms.source.scan import check_schema, open_filesystem, scan
from transforms.source.units import plan_units


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl", "arrow"])
def test_every_format_gives_the_same_batch(tmp_path: Path, format_: str) -> None:
    write(ROWS, tmp_path, format_)
    batches = read(pipeline(tmp_path, source={"format": format_}))
    assert np.concatenate([b.keys for b in batches]).tolist() == [b"a", b"b", b"c"]
    columns = {c: np.concatenate([b.columns[c] for b in batches]) for c in ("zip", "area")}
    assert columns["zip"].tolist() == [b"01234", b"NA", b""]
    np.testing.assert_array_equal(columns["area"], np.array([1.5, np.nan, 3.5], np.float32))
    assert all(set(batch.columns) == {"zip", "area", "sold"} for batch in batches)


@pytest.mark.parametrize("format_", ["parquet", "jsonl", "arrow"])
def test_every_format_with_lists_gives_the_same_batch(tmp_path: Path, format_: str) -> None:
    lists = {
        "tags": [["a", "b", "c"], [], None],
        "slots": [[3, 1], None, [None, 2]],
        "flags": [[], [True, None], [False]],
    }
    write(ROWS | lists, tmp_path, format_)
    ids = {"encoding": "identity", "buckets": 4}
    features = {n: {"kind": "categorical", "length": 2} for n in lists}
    declared = pipeline(
        tmp_path, source={"format": format_}, features=features | {"slots": features["slots"] | ids}
    )
    check_schema(declared, scan(declared.source).files())
    batches = read(declared)
    columns = {c: np.concatenate([b.columns[c] for b in batches]).tolist() for c in lists}
    assert columns == {
        "tags": [[b"a", b"b"], [b"", b""], [b"", b""]],
        "slots": [[b"3", b"1"], [b"", b""], [b"2", b""]],
        "flags": [[b"", b""], [b"true", b""], [b"false", b""]],
    }
    replaced = sum((batch.replaced for batch in batches), Counter())
    assert replaced == {("tags", "missing"): 2, ("slots", "missing"): 1, ("flags", "missing"): 1}


def test_csv_has_no_lists(tmp_path: Path) -> None:
    write(ROWS | {"tags": ["a b", "c", ""]}, tmp_path, "csv")
    features = {"tags": {"kind": "categorical", "length": 2}}
    declared = pipeline(tmp_path, source={"format": "csv"}, features=features)
    with pytest.raises(BraidError, match=r"CSV has no lists.* received type string"):
        check_schema(declared, scan(declared.source).files())


@pytest.mark.parametrize(
    ("policy", "keys", "values", "replaced"),
    [
        ("reject", [b"a", b"c"], [b"0", b""], {("slot", "missing"): 1}),
        ("default", [b"a", b"b", b"c"], [b"0", b"4", b""],
         {("slot", "missing"): 1, ("slot", "not_an_id"): 1}),
    ],
)  # fmt: skip
def test_value_that_is_no_id_follows_the_policy(
    tmp_path: Path, policy: str, keys: list[bytes], values: list[bytes], replaced: dict[Any, int]
) -> None:
    write(ROWS | {"slot": [0, 4, None]}, tmp_path, "parquet")
    slot = {"kind": "categorical", "encoding": "identity", "buckets": 4, "invalid": policy}
    (batch,) = read(pipeline(tmp_path, features={"slot": slot}))
    assert batch.keys.tolist() == keys
    assert batch.columns["slot"].tolist() == values
    assert batch.replaced == replaced


def test_missing_values_are_counted_where_they_are_replaced(tmp_path: Path) -> None:
    write(ROWS, tmp_path, "parquet")
    (batch,) = read(pipeline(tmp_path))
    assert batch.replaced == {("zip", "missing"): 1, ("area", "missing"): 1}


def test_rejected_row_leaves_the_batch_with_its_reason(tmp_path: Path) -> None:
    write(ROWS, tmp_path, "parquet")
    features = {"area": {"kind": "numeric", "missing": "reject"}}
    (batch,) = read(pipeline(tmp_path, features=features))
    assert batch.keys.tolist() == [b"a", b"c"]
    assert batch.rows == 3
    (reject,) = batch.rejects
    assert (reject.key, reject.column, reject.reason, reject.value) == (
        "b",
        "area",
        "missing",
        b"None",
    )


def test_one_bad_cell_of_a_csv_costs_one_row(tmp_path: Path) -> None:
    write(ROWS | {"area": ["1.5", "lots", "3.5"]}, tmp_path, "csv")
    (batch,) = read(pipeline(tmp_path, source={"format": "csv"}))
    assert batch.keys.tolist() == [b"a", b"c"]
    assert [(r.key, r.reason, r.value) for r in batch.rejects] == [("b", "not_a_number", b"lots")]


def test_image_files_are_read_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(picture((1, 2, 3)))
    rows = ROWS | {"photo": ["photos/a.png", "photos/none.png", None]}
    write(rows, tmp_path, "parquet")
    features = {"photo": {"kind": "image", "height": 8, "width": 8}}
    (batch,) = read(pipeline(tmp_path, features=features))
    assert batch.columns["photo"].tolist() == [picture((1, 2, 3)), b""]
    assert [(r.key, r.reason, r.value) for r in batch.rejects] == [
        ("b", "missing_file", b"photos/none.png")
    ]


def test_a_reject_for_a_path_has_the_path_and_never_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "table").mkdir()
    secret = str(tmp_path / "secret.txt")
    rows = ROWS | {"photo": ["../secret.txt", secret, "."]}
    write(rows, tmp_path / "table", "parquet")
    features = {"photo": {"kind": "image", "height": 8, "width": 8}}
    (batch,) = read(pipeline(tmp_path / "table", features=features))
    assert [(r.reason, r.value) for r in batch.rejects] == [
        ("path_not_in_source.allow", b"../secret.txt"),
        ("path_not_in_source.allow", secret.encode()),
        ("not_a_file", b"."),
    ]
    source = {"allow": [str(tmp_path)]}
    (batch,) = read(pipeline(tmp_path / "table", features=features, source=source))
    assert batch.columns["photo"].tolist() == [b"secret", b"secret"]
    assert [batch.cell("photo", row) for row in (0, 1)] == [b"../secret.txt", secret.encode()]


def test_partition_key_is_a_column_like_any_other(tmp_path: Path) -> None:
    write(ROWS, tmp_path / "day=7", "parquet")
    declared = pipeline(
        tmp_path, source={"partition_by": "day"}, features={"day": {"kind": "categorical"}}
    )
    (batch,) = read(declared)
    assert batch.columns["day"].tolist() == [b"7", b"7", b"7"]


def test_later_blocks_of_json_lines_may_widen_numbers_and_add_keys(tmp_path: Path) -> None:
    early = {"id": "a", "zip": "2026-01-01", "area": 1, "sold": True}
    lines = [json.dumps(early | {"id": str(i)}) for i in range(20_000)]
    lines.append(json.dumps(early | {"id": "last", "area": 1.5, "zip": "x", "new": 1}))
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    declared = pipeline(tmp_path, source={"format": "jsonl"})
    check_schema(declared, scan(declared.source).files())
    last = read(declared, 8_192)[-1]
    assert (last.keys[-1], last.columns["area"][-1], last.columns["zip"][-1]) == (
        b"last",
        1.5,
        b"x",
    )


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl", "arrow"])
def test_number_that_is_a_category_too_is_read_as_both(tmp_path: Path, format_: str) -> None:
    write(ROWS | {"area": [7, 8, 7]}, tmp_path, format_)
    features = {
        "area": {"kind": "numeric"},
        "size": {"kind": "categorical", "column": "area"},
    }
    batches = read(pipeline(tmp_path, source={"format": format_}, features=features))
    assert np.concatenate([b.columns["area"] for b in batches]).tolist() == [7.0, 8.0, 7.0]
    sizes = np.concatenate([b.columns["area:string"] for b in batches])
    assert sizes.tolist() == [b"7", b"8", b"7"]


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl", "arrow"])
def test_times_are_read_from_every_format(tmp_path: Path, format_: str) -> None:
    write(ROWS | {"at": ["2026-01-31T05:00:00+01:00", "soon", None]}, tmp_path, format_)
    features = {"at": {"kind": "datetime"}}
    batches = read(pipeline(tmp_path, source={"format": format_}, features=features))
    assert [v for b in batches for v in b.columns["at"]] == [b"2026-01-31T05:00:00+01:00", b""]
    rejects = [(r.key, r.reason, r.value) for b in batches for r in b.rejects]
    assert rejects == [("b", "not_a_datetime", b"soon")]


def test_timestamp_that_python_cannot_hold_is_rejected_with_its_value(tmp_path: Path) -> None:
    year = 31_556_952
    moments = pa.array([0, 9_000 * year, None]).view(pa.timestamp("s", "Europe/Brussels"))
    write(ROWS | {"at": moments}, tmp_path, "parquet")
    (batch,) = read(pipeline(tmp_path, features={"at": {"kind": "datetime"}}))
    assert batch.columns["at"].tolist() == [b"1970-01-01 00:00:00.000", b""]
    assert [(r.key, r.reason) for r in batch.rejects] == [("b", "not_a_datetime")]
    assert batch.rejects[0].value.startswith(b"10969-12-31")


def test_partition_of_a_day_is_a_date(tmp_path: Path) -> None:
    write(ROWS, tmp_path / "day=2026-01-31", "parquet")
    declared = pipeline(
        tmp_path, source={"partition_by": "day"}, features={"day": {"kind": "datetime"}}
    )
    check_schema(declared, scan(declared.source).files())
    (batch,) = read(declared)
    assert batch.columns["day"].tolist() == [b"2026-01-31"] * 3
    assert batch.rejects == []


def test_csv_keeps_texts_that_look_like_numbers_or_dates(tmp_path: Path) -> None:
    rows = ROWS | {"zip": ["2024-01-05", "1.5", "007"], "area": ["1", "2", "3"]}
    write(rows, tmp_path, "csv")
    declared = pipeline(tmp_path, source={"format": "csv"})
    check_schema(declared, scan(declared.source).files())
    (batch,) = read(declared)
    assert batch.columns["zip"].tolist() == [b"2024-01-05", b"1.5", b"007"]


def test_quoted_line_breaks_do_not_end_a_row_in_a_big_csv(tmp_path: Path) -> None:
    lines = ["id,zip,area,sold"]
    lines += [f'{i},"first line\nsecond {"x" * 60}",1,true' for i in range(20_000)]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    batches = read(pipeline(tmp_path, source={"format": "csv"}), 100_000)
    assert sum(batch.rows for batch in batches) == 20_000


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 3_000),
    group=st.integers(1, 1_500),
    at_least=st.integers(1, 9),
    batch_rows=st.integers(1, 1_000),
    reader_bytes=st.sampled_from([0, 1 << 20]),
)
def test_units_cover_every_row_once_and_in_order_read_by_row_or_by_column(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    group: int,
    at_least: int,
    batch_rows: int,
    reader_bytes: int,
) -> None:
    folder = tmp_path_factory.mktemp("units")
    table = {"id": list(range(rows)), "area": [float(row) for row in range(rows)]}
    table |= {"zip": ["x"] * rows, "sold": [True] * rows}
    write_rows(table, folder / "a.parquet", row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "_READER_BYTES", reader_bytes)
        batches = read(pipeline(folder), batch_rows, at_least)
    keys = [int(key) for batch in batches for key in batch.keys]
    assert keys == list(range(rows))
    assert [area for batch in batches for area in batch.columns["area"]] == keys
    assert all(len(batch.keys) <= batch_rows for batch in batches)


def test_one_big_row_group_is_shared_by_several_workers(tmp_path: Path) -> None:
    rows = 8_000
    write_rows({"id": list(range(rows))}, tmp_path / "a.parquet", row_group_size=rows)
    size = (tmp_path / "a.parquet").stat().st_size
    file = SourceFile(path=str(tmp_path / "a.parquet"), size=size, modified_ns=0)
    partition = Partition(name="all", value=None, fingerprint="", files=(file,))
    filesystem, _ = open_filesystem(str(tmp_path))
    units = plan_units(partition, format_="parquet", filesystem=filesystem, at_least=4)
    assert [unit.rows() for unit in units] == [2_000] * 4


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl", "arrow"])
@pytest.mark.parametrize("batch_rows", [1, 3, 100])
def test_a_groups_rows_are_in_one_split_in_every_format(
    tmp_path: Path, format_: str, batch_rows: int
) -> None:
    customers = [None if i == 7 else f"{i * i % 11}" for i in range(40)]
    rows = {"id": list(range(40)), "zip": ["1"] * 40, "area": [1.0] * 40, "sold": [True] * 40}
    write(rows | {"customer": customers}, tmp_path, format_)
    split = {"by": "hash", "column": "customer", "train": 40, "validation": 30, "test": 30}
    declared = pipeline(tmp_path, source={"format": format_}, split=split)
    check_schema(declared, scan(declared.source).files())
    batches = read(declared, batch_rows)
    split_of: dict[str | None, set[int]] = {}
    for batch in batches:
        for key, index in zip(batch.keys, batch.splits, strict=True):
            split_of.setdefault(customers[int(key)], set()).add(int(index))
    expected = {"0": {0}, "1": {1}, "3": {0}, "4": {0}, "5": {2}, "9": {2}}
    assert split_of == expected
    rejects = [reject for batch in batches for reject in batch.rejects]
    assert [(r.key, r.column, r.reason, r.value) for r in rejects] == [
        ("7", "customer", "missing", b"None")
    ]


def test_a_group_may_be_the_partition_of_its_rows(tmp_path: Path) -> None:
    for day in range(6):
        keys = [f"{day}-{i}" for i in range(5)]
        rows = {"id": keys, "zip": ["1"] * 5, "area": [1.0] * 5, "sold": [True] * 5}
        write(rows, tmp_path / f"day={day}", "parquet")
    declared = pipeline(
        tmp_path,
        source={"partition_by": "day"},
        split={"column": "day", "train": 40, "validation": 30, "test": 30},
    )
    batches = read(declared)
    assert [len(set(batch.splits.tolist())) for batch in batches] == [1] * 6
    assert len({int(batch.splits[0]) for batch in batches}) > 1


def test_categories_of_string_views_name_splits_and_groups(tmp_path: Path) -> None:
    folds = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None], pa.uint32()), pa.array(["train", "other"], pa.string_view())
    )
    table = pa.table({name: ROWS[name] for name in ("id", "zip", "sold")} | {"fold": folds})
    table = table.append_column("area", pa.array([1.0, 2.0, 3.0]))
    with paipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    for split, keys, rejects in (
        ({"by": "column"}, [b"a"], [("b", "unknown_split", b"other"), ("c", "missing", b"None")]),
        ({"by": "hash"}, [b"a", b"b"], [("c", "missing", b"None")]),
    ):
        declared = pipeline(tmp_path, source={"format": "arrow"}, split=split | {"column": "fold"})
        check_schema(declared, scan(declared.source).files())
        (batch,) = read(declared)
        assert batch.keys.tolist() == keys
        assert [(r.key, r.reason, r.value) for r in batch.rejects] == rejects


@pytest.mark.parametrize("format_", ["parquet", "jsonl", "arrow"])
def test_series_are_read_from_every_format_that_has_lists(tmp_path: Path, format_: str) -> None:
    steps = [[[1, 2], [3, 4.5]], [[5, 6]], None]
    write(ROWS | {"track": steps}, tmp_path, format_)
    track = {"kind": "sequence", "length": 2, "channels": 2, "variable": True}
    features = {"track": track}
    batches = read(pipeline(tmp_path, source={"format": format_}, features=features))
    tracks = np.concatenate([batch.columns["track"] for batch in batches])
    np.testing.assert_array_equal(
        tracks, [[[1, 2], [3, 4.5]], [[5, 6], [np.nan] * 2], [[np.nan] * 2] * 2]
    )


def test_rows_of_a_series_from_several_columns_are_rejected_by_reason(tmp_path: Path) -> None:
    rows = ROWS | {"x": [[1, 2], [3], [1, 2]], "y": [[3, 4], [3, 4], [3.5, None]]}
    write(rows, tmp_path, "parquet")
    features = {"walk": {"kind": "sequence", "length": 2, "columns": ["x", "y"]}}
    (batch,) = read(pipeline(tmp_path, features=features))
    assert [(r.key, r.column, r.reason) for r in batch.rejects] == [("b", "x", "lengths_differ")]
    np.testing.assert_array_equal(
        batch.columns["walk"], [[[1, 3], [2, 4]], [[1, 3.5], [2, np.nan]]]
    )


def test_a_hive_folder_gives_its_rows_a_value_or_none(tmp_path: Path) -> None:
    for number, folder in enumerate(("shop=__HIVE_DEFAULT_PARTITION__", "shop=a%2Fb", "shop=c")):
        write({"id": [str(number)], "area": [1.0], "sold": [True]}, tmp_path / folder, "parquet")
    shop = {"kind": "categorical", "missing": "reject"}
    declared = pipeline(tmp_path, source={"partition_by": "shop"}, features={"shop": shop})
    missing, slash, plain = read(declared)
    assert [(r.column, r.reason) for r in missing.rejects] == [("shop", "missing")]
    assert slash.columns["shop"].tolist() == [b"a/b"]
    assert plain.columns["shop"].tolist() == [b"c"]
