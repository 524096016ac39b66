"""Texts that are no UTF-8, in every place that a row can have a text in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as paipc
import pyarrow.parquet as pq
import pytest

from tests.transforms.reading.tables import pipeline, read
from transforms.columns.texts import bytes_of, utf8_only
from transforms.contract.errors import BraidError
from transforms.reading.batches import RawBatch
from transforms.reading.keys import check_no_shared
from transforms.reading.unlabelled import read_features
from transforms.source.scan import check_schema, scan

BROKEN = b"\xff\xfe"
TYPES = (pa.string(), pa.large_string(), pa.string_view())
BYTES = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}


def texts(values: list[bytes | None], type_: pa.DataType = TYPES[0]) -> pa.Array:
    """Returns a text column of any bytes, as another writer than Arrow's may leave it."""
    stored = pa.array(values, BYTES.get(type_, pa.binary_view()))
    return pa.Array.from_buffers(type_, len(values), stored.buffers())


def lists(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), values)


def dictionary(values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(range(len(values)), pa.int32()), values)


@pytest.mark.parametrize("type_", TYPES, ids=str)
@pytest.mark.parametrize("wrap", [lambda c: c, lists, dictionary], ids=["text", "list", "dict"])
def test_only_what_is_no_utf8_becomes_null(wrap: Any, type_: pa.DataType) -> None:
    column = wrap(texts(["é".encode(), BROKEN, b"", b"\xed\xa0\x80", b"\x00"], type_))
    clean, rows = utf8_only(column)
    assert rows.tolist() == [1, 3]
    assert clean.is_null().to_pylist() == [False, True, False, True, False]
    assert bytes_of(column.slice(1, 1)) == BROKEN
    sliced, none = utf8_only(column.slice(4))
    assert none.tolist() == []
    assert len(sliced) == 1


@pytest.mark.parametrize("column", [pa.array([1, None]), pa.array([BROKEN]), pa.array([[1.0]])])
def test_columns_without_text_are_left_alone(column: pa.Array) -> None:
    assert utf8_only(column)[0] is column


def write(folder: Path, format_: str, **columns: Any) -> None:
    rows = {"id": texts([b"a", b"b", b"c"]), "sold": texts([b"1", b"0", b"1"])}
    table = pa.table(rows | columns)
    folder.mkdir(parents=True, exist_ok=True)
    if format_ == "parquet":
        pq.write_table(table, folder / "a.parquet")
    elif format_ == "arrow":
        with paipc.new_file(str(folder / "a.arrow"), table.schema) as file:
            file.write_table(table)
    else:
        as_bytes = [c.cast(pa.large_binary()).to_pylist() for c in table.columns]
        lines = [b",".join(name.encode() for name in table.column_names)]
        lines += [b",".join(values) for values in zip(*as_bytes, strict=True)]
        (folder / "a.csv").write_bytes(b"\n".join(lines))


def outcome(batches: list[RawBatch]) -> tuple[list[bytes], list[tuple[str, str, bytes]]]:
    (batch,) = batches
    return batch.keys.tolist(), [(r.column, r.reason, r.value) for r in batch.rejects]


PLACES: dict[str, dict[str, Any]] = {
    "category": {"features": {"x": {"kind": "categorical"}}},
    "hashed": {"features": {"x": {"kind": "categorical", "encoding": "hash", "buckets": 3}}},
    "id": {"features": {"x": {"kind": "categorical", "encoding": "identity", "buckets": 9}}},
    "text": {"features": {"x": {"kind": "text"}}},
    "number": {"features": {"x": {"kind": "numeric"}}},
    "time": {"features": {"x": {"kind": "datetime"}}},
    "path": {"features": {"x": {"kind": "image", "height": 4, "width": 4}}},
    "label": {"targets": {"x": {"kind": "multiclass"}}},
    "yes or no": {"targets": {"x": {"kind": "binary"}}},
    "number to learn": {"targets": {"x": {"kind": "numeric"}}},
    "picture to learn": {
        "targets": {
            "x": {"kind": "image", "content": "binary_mask", "height": 4, "width": 4}
            | {"missing": "mask"},
        }
    },
    "group": {"split": {"by": "hash", "column": "x"}},
    "split": {"split": {"by": "column", "column": "x", "train": ["1"]}},
    "time of split": {
        "split": {"by": "time", "column": "x", "validation_from": "5", "test_from": "6"}
    },
    "number of split": {
        "split": {"by": "time", "column": "x", "validation_from": 5, "test_from": 6}
    },
}
VALUES = {"time": b"2026-01-01", "path": b"", "picture to learn": b""}
BASE: dict[str, Any] = {
    "features": {"area": {"kind": "numeric", "column": "area"}},
    "targets": {"sold": {"kind": "binary"}},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("format_", ["parquet", "arrow", "csv"])
def test_a_row_with_a_text_that_is_no_utf8_is_rejected(tmp_path, place, format_) -> None:
    good = VALUES.get(place, b"1")
    write(tmp_path, format_, x=texts([good, BROKEN, good]), area=texts([b"1", b"2", b"3"]))
    declared = pipeline(tmp_path, source={"format": format_}, **BASE | PLACES[place])
    keys, rejects = outcome(read(declared))
    assert keys == [b"a", b"c"]
    assert rejects == [("x", "not_utf8", BROKEN)]


@pytest.mark.parametrize("type_", TYPES, ids=str)
def test_a_list_with_a_text_that_is_no_utf8_costs_its_row(tmp_path, type_) -> None:
    tags = lists(texts([b"x", BROKEN, b"y"], type_))
    write(tmp_path, "parquet", tags=tags, labels=lists(texts([b"x", b"y", b"y"], type_)))
    declared = pipeline(
        tmp_path,
        features={"tags": {"kind": "categorical", "length": 2}},
        targets={"labels": {"kind": "multilabel"}},
    )
    assert outcome(read(declared)) == ([b"a", b"c"], [("tags", "not_utf8", BROKEN)])


@pytest.mark.parametrize("format_", ["parquet", "arrow", "csv"])
def test_keys_that_are_no_utf8_are_rejected_and_not_taken_for_equal(tmp_path, format_) -> None:
    write(tmp_path, format_, id=texts([b"a", BROKEN, BROKEN]), area=texts([b"1", b"2", b"3"]))
    declared = pipeline(tmp_path, source={"format": format_}, **BASE)
    assert outcome(read(declared)) == ([b"a"], [("id", "not_utf8", BROKEN)] * 2)
    check_no_shared(declared, scan(declared.source).partitions)


def test_the_invalid_policy_is_asked(tmp_path: Path) -> None:
    write(tmp_path, "parquet", x=texts([b"1", BROKEN, b"3"]))
    features = {"x": {"kind": "numeric", "invalid": "default"}}
    (batch,) = read(pipeline(tmp_path, features=features))
    np.testing.assert_array_equal(batch.columns["x"], [1, np.nan, 3])
    assert batch.replaced == {("x", "not_utf8"): 1}


def test_rows_to_predict_are_refused_alike(tmp_path: Path) -> None:
    write(tmp_path, "parquet", id=texts([b"a", BROKEN, b"c"]), x=texts([BROKEN, b"2", b"3"]))
    declared = pipeline(tmp_path, features={"x": {"kind": "categorical"}})
    (batch,) = read_features(declared, str(tmp_path / "a.parquet"), 100)
    assert batch.columns["x"].tolist() == [b"", b"2", b"3"]
    reasons = {row: (reject.column, reject.reason) for row, reject in batch.refused.items()}
    assert reasons == {0: ("x", "not_utf8"), 1: ("id", "not_utf8")}


@pytest.mark.parametrize("column", ["shop", "day", "sales"])
def test_a_long_table_names_its_text_that_is_no_utf8(tmp_path: Path, column: str) -> None:
    rows = {"shop": texts([b"s"] * 3), "day": texts([b"1", b"2", b"3"]), "sales": texts([b"1"] * 3)}
    broken = [b"1", BROKEN, b"3"]
    write(tmp_path, "parquet", **rows | {column: texts(broken)})
    windows = {"time": "day", "entity": "shop", "length": 1, "values": ["sales"]}
    declared = pipeline(
        tmp_path,
        source={"windows": windows},
        split={"by": "time", "column": "day", "validation_from": 8, "test_from": 9},
        features={"sales": {"kind": "sequence", "length": 1}},
        targets={"later": {"kind": "numeric", "column": "sales_next_1"}},
    )
    with pytest.raises(BraidError, match=rf"column '{column}' .*expected texts in UTF-8") as error:
        list(read_features(declared, str(tmp_path / "a.parquet"), 10))
    assert "xff" in str(error.value)


def test_a_folder_whose_name_is_no_utf8_is_one_sentence(tmp_path: Path) -> None:
    write(Path(os.fsdecode(bytes(tmp_path) + b"/day=\xff")), "csv", area=texts([b"1", b"2", b"3"]))
    declared = pipeline(tmp_path, source={"format": "csv"}, **BASE)
    with pytest.raises(BraidError, match=r"source.path .*can't decode byte 0xff"):
        scan(declared.source)


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_a_column_whose_name_is_no_utf8_is_one_sentence(tmp_path: Path, format_: str) -> None:
    write(tmp_path, format_, area=texts([b"1", b"2", b"3"]))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"sold", b"\xff\xfe\xff\xfe"))
    declared = pipeline(tmp_path, source={"format": format_}, **BASE)
    with pytest.raises(BraidError):
        check_schema(declared, scan(declared.source).files())
