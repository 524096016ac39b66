from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.transforms.conftest import write_rows
from tests.transforms.reading.tables import ROWS, pipeline, read, write
from transforms.contract.errors import BraidError
from transforms.source.scan import check_schema, scan

CSV = "id,zip,area,sold\na,01234,1.5,1\nb,NA,,0\n"


def rows(folder: Path, **source: Any) -> list[tuple[bytes, bytes]]:
    features = {"zip": {"kind": "categorical"}}
    declared = pipeline(folder, source=source, features=features)
    check_schema(declared, scan(declared.source).files())
    return [
        pair
        for batch in read(declared)
        for pair in zip(batch.keys.tolist(), batch.columns["zip"].tolist(), strict=True)
    ]


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl", "arrow"])
def test_a_format_that_is_not_declared_is_the_suffix_s(tmp_path: Path, format_: str) -> None:
    write(ROWS, tmp_path, format_)
    expected = [(b"a", b"01234"), (b"b", b"NA"), (b"c", b"")]
    assert rows(tmp_path) == rows(tmp_path / f"a.{format_}") == expected


def test_files_of_several_formats_need_a_declared_one(tmp_path: Path) -> None:
    write(ROWS, tmp_path, "csv")
    write(ROWS, tmp_path, "jsonl")
    with pytest.raises(BraidError, match=r"received files of csv and jsonl. Declare source.format"):
        rows(tmp_path)
    assert len(rows(tmp_path, format="csv")) == 3


def test_parquet_files_are_the_table_where_there_are_some(tmp_path: Path) -> None:
    write(ROWS, tmp_path, "parquet")
    (tmp_path / "notes.json").write_text("{}")
    assert len(rows(tmp_path)) == 3


@pytest.mark.parametrize(("suffix", "codec"), [(".gz", "gzip"), (".zst", "zstd")])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_packed_lines_are_unpacked(tmp_path: Path, name: str, suffix: str, codec: str) -> None:
    text = CSV.replace(",", "\t") if name == "a.tsv" else CSV
    if name == "a.jsonl":
        text = '{"id": "a", "zip": "01234", "area": 1.5, "sold": 1}\n' * 2
    with pa.CompressedOutputStream(str(tmp_path / (name + suffix)), codec) as stream:
        stream.write(text.encode())
    assert rows(tmp_path)[0] == (b"a", b"01234")


def test_a_packed_file_that_was_cut_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode() * 100)[:40])
    with pytest.raises(BraidError, match=r"a.csv.gz: expected a whole CSV file"):
        rows(tmp_path)
    (tmp_path / "a.csv.gz").write_bytes(bz2.compress(CSV.encode()))
    with pytest.raises(BraidError, match=r"a.csv.gz: expected a whole CSV file"):
        rows(tmp_path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_csv_is_seen(tmp_path: Path, delimiter: str) -> None:
    text = CSV.replace(",", delimiter).replace("NA", f'"x{delimiter}y"')
    (tmp_path / "a.csv").write_text("\ufeff" + text, encoding="utf-8")
    assert rows(tmp_path) == [(b"a", b"01234"), (b"b", f"x{delimiter}y".encode())]


@pytest.mark.parametrize(
    "text",
    [
        "id;zip;area;sold\na;1;1,5;1\nb;2;2,5;0\n",  # commas are a part of numbers
        'id;"zip";area;sold\na;"1,2";1;1\nb;"x\ny";2;0\n',
        "id,zip,area,sold\na,x;y;z,1,1\nb,u;v;w,2,0\n",  # semicolons are a part of texts
        "id,zip,area,sold\n" + "".join(f"{i},x;{'y' * 5_000},1,1\n" for i in range(14)),
    ],
)
def test_what_stands_in_all_rows_alike_is_the_delimiter(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert len(rows(tmp_path)) in (2, 14)


def test_a_column_alone_needs_no_delimiter(tmp_path: Path) -> None:
    write_rows({"x": [1]}, tmp_path / "b.parquet")
    (tmp_path / "a.csv").write_text("zip\n1\n2;3\n")
    declared = pipeline(
        tmp_path / "a.csv",
        source={"key": None},
        features={"zip": {"kind": "categorical"}},
        targets={"same": {"kind": "multiclass", "column": "zip"}},
    )
    (batch,) = read(declared)
    assert batch.columns["zip"].tolist() == [b"1", b"2;3"]
