from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.transforms.proposal.tables import png
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.proposal import examination as module
from transforms.proposal.examination import ColumnExamination, Examination, examine
from transforms.source.scan import scan

ROWS = 200
WORDS = ("late", "early", "paid", "missed", "called", "wrote")


def examined(folder: Path, table: dict, features: dict, **keys) -> Examination:
    """Returns what a declaration makes of a table in a CSV, or in Parquet if it has bytes."""
    path = folder / "rows.csv"
    columns = pa.table({"id": [f"r{i}" for i in range(ROWS)], "y": [0, 1] * (ROWS // 2), **table})
    if any(pa.types.is_binary(field.type) for field in columns.schema):
        path = folder / "rows.parquet"
        pq.write_table(columns, path)
    else:
        pacsv.write_csv(columns, path)
    declaration = {
        "name": "rows",
        "source": {"path": str(path), "format": path.suffix[1:], "key": "id"},
        "features": features,
        "targets": {"y": {"kind": "binary"}},
        **keys,
    }
    pipeline = parse(declaration)
    examination = examine(pipeline, scan(pipeline.source))
    assert examination is not None
    return examination


def column(examination: Examination, name: str) -> ColumnExamination:
    return next(each for each in examination.columns if each.place.endswith(f".{name}"))


def test_each_column_has_its_missing_values_its_rejects_and_their_reasons(tmp_path):
    area = ["", "", "x", "inf"] + [str(i) for i in range(ROWS - 4)]
    city = ["", "", ""] + ["Ghent"] * (ROWS - 3)
    examination = examined(
        tmp_path,
        {"area": area, "city": city},
        {
            "area": {"kind": "numeric", "missing": "missing_indicator"},
            "city": {"kind": "categorical", "missing": "reject"},
        },
    )
    assert examination.is_whole
    assert examination.rejected == 4 / ROWS, "a row that two columns reject is one row"
    area, city = column(examination, "area"), column(examination, "city")
    assert (area.missing, area.rejected) == (2, {"not_a_number": 1, "not_finite": 1})
    assert area.replaced == {"missing": 2}
    assert (city.missing, city.distinct, city.rejected) == (3, 1, {"missing": 3})


def test_more_rejects_than_a_run_may_lose_are_known_before_it(tmp_path):
    feature = {"area": {"kind": "numeric"}}
    bad = {"area": ["x"] * 20 + ["1.5"] * (ROWS - 20)}
    assert examined(tmp_path, bad, feature).exceeds_budget
    allowed = examined(tmp_path, bad, feature, transform={"max_reject_fraction": 0.1})
    assert not allowed.exceeds_budget


@pytest.mark.parametrize(
    ("values", "declared", "advice"),
    [
        ([f"{i % 60:05d}" for i in range(ROWS)], {"kind": "numeric"}, "{kind: categorical}"),
        ([f"2026-01-{1 + i % 28:02d}" for i in range(ROWS)], {"kind": "text"}, "{kind: datetime}"),
        ([f"{i * 0.37:.2f}" for i in range(ROWS)], {"kind": "categorical"}, "{kind: numeric}"),
        (["red", "green"] * (ROWS // 2), {"kind": "text"}, "{kind: categorical}"),
        ([f"R{i:05d}" for i in range(ROWS)], {"kind": "categorical"}, "id: every value differs"),
        (["basic"] * ROWS, {"kind": "categorical"}, "constant"),
        ([""] * ROWS, {"kind": "categorical"}, "no row has a value"),
    ],
    ids=["zip code", "date", "number", "category", "id", "constant", "empty"],
)
def test_a_kind_that_fits_better_is_named(tmp_path, values, declared, advice):
    examination = examined(tmp_path, {"x": values}, {"x": declared})
    assert advice in " ".join(column(examination, "x").advice)


def test_a_kind_that_fits_is_no_word_worth(tmp_path):
    table = {
        "city": ["Ghent", "Graz"] * (ROWS // 2),
        "price": [f"{i * 0.7:.1f}" for i in range(ROWS)],
    }
    examination = examined(
        tmp_path, table, {"city": {"kind": "categorical"}, "price": {"kind": "numeric"}}
    )
    assert [each.advice for each in examination.columns] == [(), (), ()]


def test_texts_that_are_cut_are_told_with_a_length_that_keeps_them(tmp_path):
    random = np.random.default_rng(0)
    lengths = [40 if i % 10 == 0 else 8 for i in range(ROWS)]
    texts = [" ".join(random.choice(WORDS, length)) + "." for length in lengths]
    (advice,) = column(
        examined(tmp_path, {"x": texts}, {"x": {"kind": "text", "length": 15, "ngrams": 1}}), "x"
    ).advice
    assert advice.startswith("10% of the texts have more than 15 terms and are cut")
    assert "features.x.length: 40" in advice


def test_pictures_that_no_decoder_takes_are_told_without_tensorflow(tmp_path):
    photos = [b"", b"no picture", png(3)[:50]] + [png(i) for i in range(ROWS - 3)]
    photo = {"kind": "image", "height": 8, "width": 8, "missing": "reject"}
    examination = examined(tmp_path, {"photo": photos}, {"photo": photo})
    assert column(examination, "photo").rejected == {"missing": 1, "undecodable_image": 2}
    assert examination.rejected == 3 / ROWS
    huge = examined(tmp_path, {"photo": photos}, {"photo": photo | {"max_pixels": 100}})
    assert column(huge, "photo").rejected["image_too_large"] == ROWS - 2


def test_a_share_that_chance_explains_is_no_verdict_over_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PICTURES", 50)
    photos = [b"no picture" if i % 13 == 0 else png(9) for i in range(ROWS)]
    examination = examined(
        tmp_path, {"photo": photos}, {"photo": {"kind": "image", "height": 8, "width": 8}}
    )
    assert examination.rejected > examination.allowed
    assert not examination.exceeds_budget


def test_values_of_sensitive_columns_are_in_no_advice(tmp_path):
    values = [f"{i % 60:05d}" for i in range(ROWS - 1)] + ["secret"]
    examination = examined(tmp_path, {"x": values}, {"x": {"kind": "numeric", "sensitive": True}})
    assert "secret" not in examination.model_dump_json()
    assert "{kind: categorical} may fit better" in column(examination, "x").advice


def test_a_column_that_is_a_folders_name_is_looked_at_too(tmp_path):
    for day in ("a", "b"):
        folder = tmp_path / "data" / f"day={day}"
        folder.mkdir(parents=True)
        rows = {"id": [f"{day}{i}" for i in range(30)], "y": [0, 1] * 15}
        pq.write_table(pa.table(rows), folder / "rows.parquet")
    pipeline = parse(
        {
            "name": "days",
            "source": {"path": str(tmp_path / "data"), "key": "id", "partition_by": "day"},
            "features": {"day": {"kind": "categorical"}},
            "targets": {"y": {"kind": "binary"}},
        }
    )
    examination = examine(pipeline, scan(pipeline.source))
    assert examination is not None
    assert column(examination, "day").distinct == 2


def long_table(path: Path) -> PipelineSpec:
    """Returns a declaration of windows of five hours of a series."""
    return parse(
        {
            "name": "windows",
            "source": {
                "path": str(path), "key": "window",
                "windows": {"time": "at", "length": 5, "values": ["x"]},
            },
            "split": {
                "by": "time", "column": "at",
                "validation_from": "2026-01-05", "test_from": "2026-01-07",
            },
            "features": {"x": {"kind": "sequence", "length": 5}},
            "targets": {"next": {"kind": "numeric", "column": "x_next_1"}},
        }
    )  # fmt: skip


def hours(count: int) -> list[str]:
    return [f"2026-01-{1 + i // 24:02d}T{i % 24:02d}:00" for i in range(count)]


def test_of_a_long_table_the_windows_are_looked_at(tmp_path, monkeypatch):
    table = pa.table({"at": hours(ROWS), "x": np.arange(ROWS) * 1.0})
    pq.write_table(table, tmp_path / "x.parquet")
    pipeline = long_table(tmp_path / "x.parquet")
    examination = examine(pipeline, scan(pipeline.source))
    assert examination is not None
    assert (examination.rows, examination.rejected, examination.is_whole) == (ROWS - 5, 0.0, True)
    monkeypatch.setattr(module, "ROWS", 20)
    examination = examine(pipeline, scan(pipeline.source))
    assert examination is not None
    assert (examination.rows, examination.is_whole) == (20 - 5, False)
    monkeypatch.setattr(module, "ROWS", 4)
    assert examine(pipeline, scan(pipeline.source)) is None, "these have no whole window"


def test_of_a_long_table_in_files_whole_numbers_and_fractions_are_numbers(tmp_path):
    first = pa.table({"at": hours(30)[:20], "x": list(range(20))})
    second = pa.table({"at": hours(30)[20:], "x": [0.5] * 10})
    pq.write_table(first, tmp_path / "a.parquet")
    pq.write_table(second, tmp_path / "b.parquet")
    pipeline = long_table(tmp_path)
    examination = examine(pipeline, scan(pipeline.source))
    assert examination is not None
    assert (examination.rows, examination.rejected) == (30 - 5, 0.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"at": hours(20)[:4], "x": [1.0] * 4}, "expected a series of at least 6 rows"),
        ({"at": pa.array([], "string"), "x": pa.array([], "double")}, "expected a table with rows"),
        ({"at": ["soon", *hours(20)], "x": [1.0] * 21}, "column 'at' at at soon, in .*x.parquet"),
        ({"at": [*hours(5), *hours(20)], "x": [1.0] * 25}, "expected one row a time"),
    ],
)
def test_a_long_table_that_a_run_would_refuse_is_refused(tmp_path, monkeypatch, rows, message):
    pq.write_table(pa.table(rows), tmp_path / "x.parquet")
    monkeypatch.setattr(module, "ROWS", 16)
    pipeline = long_table(tmp_path / "x.parquet")
    with pytest.raises(BraidError, match=message):
        examine(pipeline, scan(pipeline.source))


def test_rows_that_the_filter_leaves_out_are_not_looked_at_and_expressions_are(tmp_path):
    fare = ["x"] * 20 + [f"{i}.5" for i in range(ROWS - 20)]
    pacsv.write_csv(
        pa.table({"fare": fare, "kept": [0] * 20 + [1] * (ROWS - 20)}), tmp_path / "t.csv"
    )
    pipeline = parse(
        {
            "name": "fares",
            "source": {"path": str(tmp_path / "t.csv"), "where": "kept > 0"},
            "features": {"fare": {"kind": "numeric"}},
            "targets": {"high": {"kind": "binary", "expression": "fare > 90"}},
        }
    )
    examination = examine(pipeline, scan(pipeline.source))
    assert examination is not None
    assert (examination.rows, examination.rejected) == (ROWS - 20, 0.0)
    assert column(examination, "high").distinct == 2


def test_an_expression_that_is_named_like_what_it_reads_is_examined_as_it_runs(tmp_path):
    examination = examined(
        tmp_path,
        {"fare": [float(i) for i in range(ROWS)], "tips": [2.0] * ROWS, "city": ["Ghent"] * ROWS},
        {"city": {"kind": "categorical"}},
        targets={
            "fare": {"kind": "binary", "expression": "fare > 9.5"},
            "tips": {"kind": "binary", "expression": "tips > 0.2 * fare"},
        },
    )
    assert examination.rejected == 0.0
    assert [column(examination, name).distinct for name in ("fare", "tips")] == [2, 2]


def test_whole_numbers_and_fractions_of_json_lines_are_numbers_as_in_a_run(tmp_path):
    areas = [*range(100_000), 0.5]  # in another of the blocks that are read at a time
    lines = (f'{{"area": {area}, "y": {i % 2}}}' for i, area in enumerate(areas))
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    pipeline = parse(
        {
            "name": "rows",
            "source": {"path": str(tmp_path / "rows.jsonl")},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"y": {"kind": "binary"}},
        }
    )
    examination = examine(pipeline, scan(pipeline.source))
    assert examination is not None
    assert examination.rejected == 0.0


def test_a_table_without_rows_is_refused(tmp_path):
    pq.write_table(
        pa.table({"id": pa.array([], "string"), "y": pa.array([], "int64")}), tmp_path / "x.parquet"
    )
    pipeline = parse(
        {
            "name": "none",
            "source": {"path": str(tmp_path / "x.parquet"), "key": "id"},
            "features": {"id": {"kind": "categorical"}},
            "targets": {"y": {"kind": "binary"}},
        }
    )
    with pytest.raises(BraidError, match="a table with rows"):
        examine(pipeline, scan(pipeline.source))
