"""A sample is of all parts of a table, and takes as long whatever the table's size."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.transforms.reading.tables import write
from transforms.contract.errors import BraidError
from transforms.proposal.sample import ROWS, take_sample


def test_a_small_table_is_read_as_a_whole(tmp_path):
    for part in (1, 2):
        pacsv.write_csv(pa.table({"n": [part, part * 10]}), tmp_path / f"{part}.csv")
    sample = take_sample(str(tmp_path))
    assert sample.is_whole
    assert sample.source.format == "csv"
    assert sample.table["n"].to_pylist() == ["1", "10", "2", "20"]


def test_rows_of_a_large_csv_are_from_its_beginning_to_its_end(tmp_path):
    path = tmp_path / "large.csv"
    pacsv.write_csv(pa.table({"n": np.arange(2_000_000)}), path)
    sample = take_sample(str(path))
    numbers = np.array(sample.table["n"].to_pylist(), int)
    assert not sample.is_whole
    assert len(numbers) <= ROWS
    assert (np.diff(numbers) > 0).all()
    shares = np.histogram(numbers, bins=4, range=(0, 2_000_000))[0] / len(numbers)
    assert shares.min() > 0.2, "every quarter of the file"


def test_a_range_that_begins_within_a_text_with_line_breaks_costs_the_spread_alone(tmp_path):
    path = tmp_path / "quoted.csv"
    rows = 200_000
    table = {"n": np.arange(rows), "text": ['a, "b"\nc, d, e\n\n' * 4] * rows}
    pacsv.write_csv(pa.table(table), path)
    sample = take_sample(str(path))
    assert set(sample.table["text"].to_pylist()) == {table["text"][0]}


def test_rows_of_parquet_are_of_row_groups_everywhere(tmp_path):
    path = tmp_path / "large.parquet"
    pq.write_table(pa.table({"n": np.arange(100_000)}), path, row_group_size=1_000)
    numbers = take_sample(str(path)).table["n"].to_numpy()
    assert len(numbers) == 16 * 1_000
    assert numbers[0] == 0
    assert numbers[-1] == 99_999


def test_pictures_are_sampled_by_their_bytes(tmp_path):
    path = tmp_path / "pictures.parquet"
    pq.write_table(pa.table({"photo": [bytes(100_000)] * 2_000}), path, compression="none")
    assert take_sample(str(path)).table.num_rows < 2_000


def test_a_packed_csv_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"n\n1\n2\n"))
    assert take_sample(str(path)).table["n"].to_pylist() == ["1", "2"]


def test_a_table_without_rows_is_refused(tmp_path):
    (tmp_path / "empty.csv").write_text("a,b\n")
    with pytest.raises(BraidError, match="a table with rows"):
        take_sample(str(tmp_path / "empty.csv"))


def test_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(BraidError, match="'a' more than once"):
        take_sample(str(tmp_path / "twice.csv"))


@pytest.mark.parametrize(
    ("types", "sampled"),
    [
        (("int64", "double"), [1, 2, 2.5]),
        (("double", "int64"), [2.5, 1, 2]),
        (("int64", "string"), ["1", "2", "x"]),
        (("string", "int64"), ["x", "1", "2"]),
        (("int32", "null"), [1, 2, None]),
        (("null", "string"), [None, "x"]),
    ],
)
def test_files_may_have_a_column_in_types_of_their_own(tmp_path, types, sampled):
    values = {"int64": [1, 2], "int32": [1, 2], "double": [2.5], "string": ["x"], "null": [None]}
    for name, type_ in zip(("a", "b"), types, strict=True):
        table = pa.table({"n": pa.array(values[type_], type_)})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    assert take_sample(str(tmp_path)).table["n"].to_pylist() == sampled


def test_a_column_of_lists_and_of_texts_is_refused(tmp_path):
    pq.write_table(pa.table({"n": [[1]]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"n": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(BraidError, match=r"column 'n' of .*: expected one type in all files"):
        take_sample(str(tmp_path))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "jsonl"])
def test_a_file_that_lacks_a_column_of_the_first_is_named(tmp_path, suffix):
    write({"n": [1], "m": [2]}, tmp_path, suffix)
    write({"n": [3]}, tmp_path / "b", suffix)
    with pytest.raises(BraidError, match=rf"b/a.{suffix}: expected every column .*, received .*m"):
        take_sample(str(tmp_path))
