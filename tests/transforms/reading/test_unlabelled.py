from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.transforms.reading.tables import pipeline, write
from transforms.reading.unlabelled import read_features


def test_paths_of_rows_to_predict_start_from_their_own_folder(tmp_path: Path) -> None:
    for folder in ("here", "there", "allowed"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(folder.encode())
    paths = ["a.png", "../allowed/a.png", "../there/a.png"]
    write({"id": ["a", "b", "c"], "photo": paths}, tmp_path / "here", "parquet")
    features = {"photo": {"kind": "image", "height": 8, "width": 8}}
    declared = pipeline(tmp_path / "there", features=features)
    allow = (str(tmp_path / "allowed"),)
    (batch,) = read_features(declared, str(tmp_path / "here"), 100, allow=allow)
    assert batch.columns["photo"].tolist() == [b"here", b"allowed", b""]


def test_rows_to_predict_need_no_labels_and_those_that_training_rejects_are_named(
    tmp_path: Path,
) -> None:
    table = {"id": ["x", None, "y", "z"], "zip": ["1"] * 4, "area": ["3", "4", "far", None]}
    write(table, tmp_path, "csv")
    features = {"zip": {"kind": "categorical"}, "area": {"kind": "numeric", "missing": "reject"}}
    declared = pipeline(tmp_path / "elsewhere", features=features)
    (batch,) = read_features(declared, str(tmp_path / "a.csv"), 100)
    assert batch.keys.tolist() == [b"x", b"", b"y", b"z"]
    np.testing.assert_array_equal(batch.columns["area"], [3, 4, np.nan, np.nan])
    assert batch.rejects == []
    assert {row: (r.column, r.reason, r.value) for row, r in batch.refused.items()} == {
        1: ("id", "missing", b"None"),
        2: ("area", "not_a_number", b"far"),
        3: ("area", "missing", b"None"),
    }


def test_a_url_of_rows_to_predict_may_have_options(tmp_path: Path) -> None:
    write({"id": ["x"], "zip": ["1"], "area": [3.0]}, tmp_path, "csv")
    declared = pipeline(tmp_path / "elsewhere")
    for place in ("", "/a.csv"):
        (batch,) = read_features(declared, f"file://{tmp_path}{place}?region=r", 100)
        assert batch.keys.tolist() == [b"x"]


def test_rows_to_predict_need_no_group(tmp_path: Path) -> None:
    write({"id": ["x"], "zip": ["1"], "area": [3.0]}, tmp_path, "parquet")
    declared = pipeline(tmp_path / "elsewhere", split={"by": "hash", "column": "customer"})
    (batch,) = read_features(declared, str(tmp_path / "a.parquet"), 100)
    assert batch.keys.tolist() == [b"x"]
    assert batch.rejects == []


def test_rows_to_predict_are_the_windows_of_a_long_table(tmp_path: Path) -> None:
    rows = {"day": [3, 1, 2, 1, 2], "shop": ["a", "a", "a", "b", "b"], "sales": [3, 1, 2, 7, 8]}
    write(rows, tmp_path, "csv")
    windows = {"time": "day", "entity": "shop", "length": 2, "horizon": 5}
    declared = pipeline(
        tmp_path / "elsewhere",
        source={"format": "csv", "windows": windows | {"values": ["sales", "visitors"]}},
        split={"by": "time", "column": "day", "validation_from": 10, "test_from": 20},
        features={"sales": {"kind": "sequence", "length": 2}},
        targets={"later": {"kind": "numeric", "column": "visitors_next_5"}},
    )
    (batch,) = read_features(declared, str(tmp_path / "a.csv"), 100)
    assert batch.keys.tolist() == [b"a/2", b"a/3", b"b/2"]
    assert batch.columns["sales"][..., 0].tolist() == [[1, 2], [2, 3], [7, 8]]
