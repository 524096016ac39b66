"""Windows of a long table against a slow reference, and what they refuse."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.reading.cutting import WindowCounts, write_windows
from transforms.source.scan import check_schema, scan

Rows = dict[str, list[Any]]
SPLIT = {"by": "time", "column": "day", "validation_from": 10, "test_from": 14}


def pipeline(path: Path, split: Any = SPLIT, **windows: Any) -> PipelineSpec:
    declared = {"time": "day", "length": 3, "values": ["sales"]} | windows
    format_ = "csv" if path.suffix == ".csv" else "parquet"
    return parse(
        {
            "name": "p",
            "source": {"path": str(path), "format": format_, "key": "id", "windows": declared},
            "split": split,
            "features": {"sales": {"kind": "sequence", "length": declared["length"]}},
            "targets": {"next": {"kind": "numeric", "column": "sales_next_1"}},
        }
    )


def cut(declared: PipelineSpec, folder: Path, **options: Any) -> tuple[pa.Table, WindowCounts]:
    path = folder / "windows.parquet"
    counts = write_windows(declared, scan(declared.source).files(), path, **options)
    return pq.read_table(path), counts


def write(folder: Path, rows: Rows) -> Path:
    path = folder / "long.parquet"
    pq.write_table(pa.table(rows), path)
    return path


def reference(rows: Rows, spec: PipelineSpec) -> dict[str, dict[str, Any]]:
    """Returns every window by its key, with its split and the times of all its steps."""
    windows = spec.source.windows
    assert windows is not None
    length, horizon = windows.length, windows.horizon
    by_key: dict[str, dict[str, Any]] = {}
    for shop in sorted(set(rows["shop"])):
        series = sorted(
            (day, sales, color)
            for day, name, sales, color in zip(
                rows["day"], rows["shop"], rows["sales"], rows["color"], strict=True
            )
            if name == shop
        )
        for start in range(0, len(series) - length - horizon + 1, windows.stride):
            behind = series[start : start + length]
            ahead = series[start + length : start + length + horizon]
            days = [day for day, _, _ in ahead]
            if all(day < 10 for day in days):
                split = "train"
            elif all(10 <= day < 14 for day in days):
                split = "validation"
            elif all(day >= 14 for day in days):
                split = "test"
            else:
                continue
            by_key[f"{shop}/{behind[-1][0]}"] = {
                "sales": [sales for _, sales, _ in behind],
                "sales_next": [sales for _, sales, _ in ahead],
                "color": behind[-1][2],
                "split": split,
                "days": [day for day, _, _ in behind + ahead],
            }
    return by_key


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 25)),
        min_size=1,
        max_size=60,
        unique=True,
    ),
    length=st.integers(1, 6),
    stride=st.integers(1, 4),
    horizon=st.integers(1, 3),
)
def test_every_window_equals_a_slow_reference_and_none_leaks(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int]],
    length: int,
    stride: int,
    horizon: int,
) -> None:
    folder = tmp_path_factory.mktemp("windows")
    rows: Rows = {
        "shop": [shop for shop, _ in steps],
        "day": [day for _, day in steps],
        "sales": [100.0 * day + ord(shop) for shop, day in steps],
        "color": [f"{shop}{day}" for shop, day in steps],
    }
    declared = pipeline(
        write(folder, rows),
        entity="shop",
        length=length,
        stride=stride,
        horizon=horizon,
        keep=["color"],
    )
    expected = reference(rows, declared)
    if not expected:
        with pytest.raises(BraidError, match="a series of at least"):
            cut(declared, folder)
        return
    table, counts = cut(declared, folder)
    assert table["id"].to_pylist() == list(expected), "in the order of entity and time"
    assert (counts.rows, counts.windows) == (len(steps), len(expected))
    for row in table.to_pylist():
        window = expected[row["id"]]
        for name in ("sales", "sales_next", "color", "split"):
            assert row[name] == window[name]
        assert [row[f"sales_next_{i + 1}"] for i in range(horizon)] == window["sales_next"]
        if row["split"] == "train":
            assert max(window["days"]) < 10, "nothing of it is from validation_from on"


def days(count: int) -> Rows:
    return {"day": list(range(count)), "sales": [float(i) for i in range(count)]}


def test_windows_that_straddle_two_splits_are_left_out_and_counted(tmp_path: Path) -> None:
    table, counts = cut(pipeline(write(tmp_path, days(20)), horizon=2), tmp_path)
    ends = {int(row["id"]): row["split"] for row in table.to_pylist()}
    assert ends == {
        **dict.fromkeys(range(2, 8), "train"),  # 8 is followed by 9 and 10
        **dict.fromkeys(range(9, 12), "validation"),
        **dict.fromkeys(range(13, 18), "test"),
    }
    assert counts == WindowCounts(rows=20, entities=1, short=0, windows=14, straddling=2)


def test_windows_are_written_chunk_by_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.reading.cutting._CHUNK_ROWS", 4)
    seen: list[tuple[int, int]] = []
    table, _ = cut(
        pipeline(write(tmp_path, days(20))), tmp_path, on_windows=lambda *at: seen.append(at)
    )
    assert pq.read_metadata(tmp_path / "windows.parquet").num_row_groups == 5
    assert seen == [(4, 17), (8, 17), (12, 17), (16, 17), (17, 17)]
    assert table["sales"].to_pylist() == [[i, i + 1, i + 2] for i in range(17)]


def test_null_value_is_a_missing_number_of_the_window(tmp_path: Path) -> None:
    rows = days(12) | {"sales": [None if i == 1 else float(i) for i in range(12)]}
    table, _ = cut(pipeline(write(tmp_path, rows)), tmp_path)
    np.testing.assert_array_equal(table["sales"][0].as_py(), [0, math.nan, 2])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"day": [1, 2, 2]}, r"one row a time and shop, received 2 twice for shop a; 1 rows"),
        ({"day": [1, None, 3]}, r"column 'day' at shop a, day None, in .*: expected a value"),
        ({"shop": ["a", None, "a"]}, r"column 'shop' at shop None, day 2"),
        ({"shop": ["a", "", "a"]}, r"column 'shop' at shop , day 2, in .*: expected a value"),
        ({"day": ["1", "2", "1_0"]}, r"column 'day' at shop a, day 1_0, in .*received '1_0'"),
        ({"sales": ["1", "1_0", "2"]}, r"column 'sales' at shop a, day 2.*received '1_0'"),
        ({"sales": [1.0, 2.0, math.inf]}, r"column 'sales' at shop a, day 3, in .*received inf"),
        ({"sales": ["1", "many", "2"]}, r"column 'sales' at shop a, day 2.*received 'many'"),
        ({}, r"a series of at least 4 rows.*received 1 series, the longest of 3 rows"),
    ],
)
def test_rows_that_no_window_can_be_cut_from_are_named(
    tmp_path: Path, rows: Rows, message: str
) -> None:
    good = {"day": [1, 2, 3], "shop": ["a"] * 3, "sales": [1.0, 2.0, 3.0]}
    declared = pipeline(write(tmp_path, good | rows), entity="shop")
    with pytest.raises(BraidError, match=message):
        cut(declared, tmp_path)


@pytest.mark.parametrize("kind", ["date", "timestamp", "zoned", "text", "zoned text"])
def test_times_of_every_type_are_in_order(tmp_path: Path, kind: str) -> None:
    dates = [datetime.date(2026, 1, 1) + datetime.timedelta(i) for i in range(20)]
    moments = [datetime.datetime.combine(d, datetime.time()) for d in dates]
    column = {
        "date": pa.array(dates),
        "timestamp": pa.array(moments, pa.timestamp("ns")),
        "zoned": pa.array(moments, pa.timestamp("ms", "UTC")),
        "text": pa.array([d.isoformat() for d in dates]),
        "zoned text": pa.array([f"{m.isoformat()}+00:00" for m in moments]),
    }[kind]
    shuffled = np.random.default_rng(0).permutation(20)
    rows = {"day": column.take(pa.array(shuffled)), "sales": shuffled.astype(np.float64)}
    split = SPLIT | {"validation_from": "2026-01-11", "test_from": "2026-01-15"}
    table, _ = cut(pipeline(write(tmp_path, rows), split), tmp_path)
    assert table["sales"].to_pylist() == [[i, i + 1, i + 2] for i in range(17)]
    assert table["split"].to_pylist() == ["train"] * 7 + ["validation"] * 4 + ["test"] * 6
    assert table["id"][0].as_py().startswith("2026-01-03")


def test_times_in_text_are_numbers_if_the_bounds_are(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("day,sales\n" + "".join(f"{i},{i}\n" for i in range(20)))
    table, _ = cut(pipeline(path), tmp_path)
    assert table["sales"].to_pylist()[8] == [8.0, 9.0, 10.0]


def test_text_that_is_no_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("day,sales\n" + "".join(f"1/{i}/2026,{i}\n" for i in range(1, 9)))
    split = SPLIT | {"validation_from": "2026-01-05", "test_from": "2026-01-07"}
    with pytest.raises(BraidError, match=r"at day 1/1/2026.*timestamp.*and 7 more.*ISO 8601"):
        cut(pipeline(path, split), tmp_path)


def test_rows_to_predict_end_at_every_step_that_has_enough_behind_it(tmp_path: Path) -> None:
    declared = pipeline(write(tmp_path, days(5)), stride=4, horizon=9)
    table, _ = cut(declared, tmp_path, labelled=False)
    assert table.to_pylist() == [
        {"id": "2", "sales": [0, 1, 2]},
        {"id": "3", "sales": [1, 2, 3]},
        {"id": "4", "sales": [2, 3, 4]},
    ]


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ({"time": "week"}, r"source\.windows\.time, in .*: expected a column 'week'"),
        ({"values": ["cost"]}, r"source\.windows\.values, in .*: expected a column 'cost'"),
        ({"keep": ["cost"]}, r"source\.windows\.keep, in .*: expected a column 'cost'"),
        ({"entity": "cost"}, r"source\.windows\.entity, in .*: expected a column 'cost'"),
        ({"values": ["sales", "tags"]}, r"source\.windows\.values, column 'tags'.*list"),
        ({"entity": "tags"}, r"source\.windows\.entity, column 'tags'.*strings or whole"),
    ],
)
def test_columns_of_the_long_table_are_checked(
    tmp_path: Path, windows: dict[str, Any], message: str
) -> None:
    rows = days(20) | {"tags": [["x"]] * 20}
    path = write(tmp_path, rows)
    split = SPLIT | {"column": windows.get("time", "day")}
    declared = pipeline(path, split, **windows)
    with pytest.raises(BraidError, match=message):
        check_schema(declared, scan(declared.source).files())


def test_columns_of_the_windows_are_checked(tmp_path: Path) -> None:
    declared = pipeline(write(tmp_path, days(20)))
    check_schema(declared, scan(declared.source).files())
    target = {"kind": "numeric", "column": "sales_next_2"}
    changed = parse(declared.model_dump(mode="json") | {"targets": {"next": target}})
    with pytest.raises(BraidError, match=r"targets\.next, in the windows of .*'sales_next_2'"):
        check_schema(changed, scan(changed.source).files())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"by": "hash"}}, r"split: expected {by: time, column: day"),
        ({"split": SPLIT | {"column": "sales"}}, r"split: expected {by: time, column: day"),
        ({"source": {"partition_by": "shop"}}, r"source\.partition_by: expected no partitions"),
        ({"source": {"key": "sales"}}, r"source\.windows: .*received 'sales' twice"),
        (
            {"features": {"x": {"kind": "numeric", "column": "sales_next_1"}}},
            r"features\.x: expected a column that is known at a window's last step",
        ),
    ],
)
def test_declarations_that_would_leak_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    document = pipeline(tmp_path / "long.parquet").model_dump(mode="json")
    source = document["source"] | changes.pop("source", {})
    with pytest.raises(BraidError, match=message):
        parse(document | {"source": source} | changes)


def test_files_of_several_types_are_refused(tmp_path: Path) -> None:
    write(tmp_path, days(10))
    dates = [datetime.date(2026, 1, 1 + i) for i in range(10)]
    pq.write_table(pa.table({"day": dates, "sales": [1.0] * 10}), tmp_path / "more.parquet")
    declared = pipeline(tmp_path)
    with pytest.raises(BraidError, match="columns of one type in all files"):
        write_windows(declared, scan(declared.source).files(), tmp_path / "windows.pq")


def test_files_of_a_long_table_are_one_series(tmp_path: Path) -> None:
    path = write(tmp_path, {name: values[::2] for name, values in days(20).items()})
    odd = {name: values[1::2] for name, values in days(20).items()}
    pq.write_table(pa.table(odd), tmp_path / "odd.parquet")
    declared = pipeline(path.parent)
    out = tmp_path / "windows.pq"
    counts = write_windows(declared, scan(declared.source).files(), out)
    assert (counts.rows, counts.entities) == (20, 1)
    assert pq.read_table(out)["sales"].to_pylist() == [[i, i + 1, i + 2] for i in range(17)]


def test_time_and_entity_may_be_kept_and_a_path_of_a_picture_may_not(tmp_path: Path) -> None:
    rows = days(20) | {"shop": ["a"] * 20, "photo": ["a.png"] * 20}
    path = write(tmp_path, rows)
    table, _ = cut(pipeline(path, entity="shop", keep=["shop", "day"]), tmp_path)
    assert table.to_pylist()[0] == {
        "id": "a/2",
        "sales": [0, 1, 2],
        "shop": "a",
        "day": 2,
        "sales_next": [3],
        "sales_next_1": 3,
        "split": "train",
    }
    declared = pipeline(path, keep=["photo"])
    photo = {"kind": "image", "height": 8, "width": 8}
    declared = parse(declared.model_dump(mode="json") | {"features": {"photo": photo}})
    with pytest.raises(BraidError, match=r"features\.photo.*paths are lost with windows"):
        check_schema(declared, scan(declared.source).files())
