from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from tests.transforms.conftest import write_rows
from tests.transforms.reading.tables import ROWS, pipeline, read, write
from transforms.contract.errors import BraidError
from transforms.source.formats import pieces, read_piece, read_schema
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
        "\n" * 70_000 + "id;zip;area;sold\na;1;1;1\nb;2;2;0\n",  # which is read as no rows
    ],
)
def test_what_stands_in_all_rows_alike_is_the_delimiter(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert [key for key, _ in rows(tmp_path)] == [b"a", b"b"]


def test_a_row_that_is_cut_where_the_looking_ends_says_nothing_of_the_delimiter(
    tmp_path: Path,
) -> None:
    lines = (f"{i};{'é' * 50_000};1;1\n" for i in range(14))  # half as many letters as bytes
    (tmp_path / "a.csv").write_text("id;zip;area;sold\n" + "".join(lines))
    assert [key for key, _ in rows(tmp_path)] == [str(i).encode() for i in range(14)]


def test_the_delimiter_is_seen_where_the_header_or_a_field_is_long(tmp_path: Path) -> None:
    names = [f"a column that has a long name, {i}" for i in range(6_000)]  # 200 KB
    local = pafs.LocalFileSystem()
    (tmp_path / "wide.csv").write_text(";".join(names) + "\n" + ";".join("1" * 6_000) + "\n")
    assert read_schema("csv", local, str(tmp_path / "wide.csv")).names == names
    (tmp_path / "text.csv").write_text(f"a;b\n1;{'x, ' * 70_000}\n")
    assert read_schema("csv", local, str(tmp_path / "text.csv")).names == ["a", "b"]


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


@pytest.mark.parametrize(
    ("values", "offsets"),
    [
        (pa.array(["aa", "bb", "cc"]), [0, 2, 4, 6]),
        (pa.array([b"aa", b"bb", b"cc"]), [0, 2, 4, 6]),
        (pa.array([[7.0], [8.0, 9.0]]), [0, 1, 3]),
        (pa.array(["aa", "bb", "aa"]).dictionary_encode(), [0, 2, 4]),
    ],
    ids=["texts", "bytes", "lists", "dictionary"],
)
def test_an_arrow_file_whose_values_lie_outside_of_it_is_named(tmp_path, values, offsets):
    path = tmp_path / "rows.arrow"
    table = pa.table({"x": values})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    whole = np.array(offsets, np.int32).tobytes()
    torn = np.array([*offsets[:-2], 1 << 30, offsets[-1]], np.int32).tobytes()
    assert path.read_bytes().count(whole) == 1
    path.write_bytes(path.read_bytes().replace(whole, torn))
    filesystem = pafs.LocalFileSystem()
    (piece,) = pieces("arrow", filesystem, str(path), path.stat().st_size)
    with pytest.raises(BraidError, match=r"rows.arrow: expected a whole Arrow IPC file"):
        list(read_piece("arrow", filesystem, piece, ["x"], 10))
