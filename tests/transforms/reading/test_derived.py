"""Rows that a filter leaves out, and targets that are an expression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.transforms.conftest import write_rows
from tests.transforms.reading.tables import pipeline, read, write
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.layout import Workspace
from transforms.reading.keys import KeysChecked, check_unique
from transforms.reading.unlabelled import read_features
from transforms.source.scan import check_schema, scan

RIDES: dict[str, list[Any]] = {
    "id": ["a", "b", "c", "d", "e"],
    "fare": [10.0, 0.0, None, 20.0, 5.0],
    "tips": [1.0, 9.0, 9.0, 5.0, None],
    "city": ["Bern", "Bern", "Chur", "Chur", "Chur"],
}
BIG_TIP = {"kind": "binary", "expression": "tips > 0.2 * fare"}


def rides(folder: Path, where: str | None = None, **declared: Any) -> PipelineSpec:
    source = {"where": where} if where else {}
    defaults = {"features": {"city": {"kind": "categorical"}}, "targets": {"big_tip": BIG_TIP}}
    return pipeline(folder, **(defaults | declared), source=source)


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl", "arrow"])
def test_a_target_may_be_an_expression_on_the_columns_of_its_row(
    tmp_path: Path, format_: str
) -> None:
    write(RIDES, tmp_path, format_)
    declared = rides(tmp_path)
    check_schema(declared, scan(declared.source).files())
    batches = read(declared)
    labels = [label for batch in batches for label in batch.columns["big_tip"].tolist()]
    assert labels == [b"false", b"true", b"true"]
    rejects = [(r.key, r.column, r.reason) for batch in batches for r in batch.rejects]
    assert rejects == [("c", "big_tip", "missing"), ("e", "big_tip", "missing")]


def test_a_missing_result_may_be_masked_like_any_missing_label(tmp_path: Path) -> None:
    write(RIDES, tmp_path, "parquet")
    (batch,) = read(rides(tmp_path, targets={"big_tip": BIG_TIP | {"missing": "mask"}}))
    assert batch.columns["big_tip"].tolist() == [b"false", b"true", b"", b"true", b""]
    assert batch.replaced == {("big_tip", "missing"): 2}


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl", "arrow"])
def test_rows_that_a_filter_leaves_out_are_counted_and_cost_nothing(
    tmp_path: Path, format_: str
) -> None:
    write(RIDES, tmp_path, format_)
    declared = rides(tmp_path, "fare > 0")
    check_schema(declared, scan(declared.source).files())
    batches = read(declared)
    assert [key for batch in batches for key in batch.keys.tolist()] == [b"a", b"d"]
    assert [r.key for batch in batches for r in batch.rejects] == ["e"]
    assert (sum(b.rows for b in batches), sum(b.left_out for b in batches)) == (3, 2)


def test_a_filter_changes_no_row_s_name(tmp_path: Path) -> None:
    write(RIDES, tmp_path, "parquet")
    declared = rides(tmp_path, "fare > 0")
    source = declared.source.model_copy(update={"key": None})
    (batch,) = read(declared.model_copy(update={"source": source}))
    assert batch.keys.tolist() == [b"a.parquet:1", b"a.parquet:4"]


def test_an_expression_reads_the_table_and_no_other_expression(tmp_path: Path) -> None:
    write(RIDES, tmp_path, "parquet")
    targets = {
        "fare": {"kind": "binary", "expression": "fare > 9", "missing": "mask"},
        "tips": {"kind": "binary", "expression": "tips > 0.2 * fare", "missing": "mask"},
    }
    for names in (("fare", "tips"), ("tips", "fare")):
        (batch,) = read(rides(tmp_path, targets={name: targets[name] for name in names}))
        assert batch.columns["fare"].tolist() == [b"true", b"false", b"", b"true", b"false"]
        assert batch.columns["tips"].tolist() == [b"false", b"true", b"", b"true", b""]


_BIG = 2**53 + 1  # the least whole number that is no float64


@pytest.mark.parametrize(
    "split", [{"by": "hash"}, {"by": "hash", "column": "shop"}, {"by": "column", "column": "shop"}]
)
def test_names_that_an_expression_reads_keep_their_digits(
    tmp_path: Path, split: dict[str, Any]
) -> None:
    rows = {"id": [_BIG, _BIG - 1], "fare": [1, 2.5], "shop": [_BIG, 1], "city": ["Bern"] * 2}
    write(rows, tmp_path, "jsonl")
    if split["by"] == "column":
        split |= {"train": [str(_BIG)], "validation": ["1"], "test": ["2"]}
    features = {"city": {"kind": "categorical"}}
    targets = {"high": {"kind": "binary", "expression": "fare > shop / 2 - id"}}
    declared = rides(tmp_path, "id > 0", split=split, features=features, targets=targets)
    (batch,) = read(declared)
    assert batch.keys.tolist() == [str(_BIG).encode(), str(_BIG - 1).encode()]
    if split["by"] == "column":
        assert (batch.splits.tolist(), batch.rejects) == ([0, 1], [])
    counted = check_unique(declared, scan(declared.source).partitions, Workspace(tmp_path / "w"))
    assert counted.rows == 2


def test_a_filter_on_json_lines_takes_a_fraction_after_whole_numbers_also_for_keys(
    tmp_path: Path,
) -> None:
    fares = [*range(100_000), 0.5]  # in another of the blocks that are read at a time
    lines = (f'{{"id": "{i}", "fare": {fare}, "city": "Bern"}}' for i, fare in enumerate(fares))
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    declared = rides(
        tmp_path, "fare < 1", targets={"high": {"kind": "binary", "expression": "fare > 0.2"}}
    )
    assert read(declared, 200_000)[-1].keys.tolist() == [b"100000"]
    counted = check_unique(declared, scan(declared.source).partitions, Workspace(tmp_path / "w"))
    assert counted.rows == 2


def test_a_batch_of_which_nothing_is_kept_is_empty(tmp_path: Path) -> None:
    lists = {"tags": [["x"]] * 5, "pulse": [[1.0, 2.0]] * 5, "photo": [b""] * 5}
    write({**RIDES, **lists, "day": ["2026-01-01"] * 5}, tmp_path, "parquet")
    features = {
        "city": {"kind": "categorical"},
        "tags": {"kind": "categorical", "length": 2},
        "pulse": {"kind": "sequence", "length": 2},
        "pair": {"kind": "numeric", "column": "pulse", "length": 2},
        "day": {"kind": "datetime"},
        "photo": {"kind": "image", "height": 8, "width": 8},
        "number": {"kind": "categorical", "column": "id", "encoding": "identity", "buckets": 9},
    }
    for split in (
        {"by": "hash"},
        {"by": "time", "column": "day"},
        {"by": "column", "column": "id"},
    ):
        if split["by"] == "time":
            split |= {"validation_from": "2026-01-02", "test_from": "2026-01-03"}
        (batch,) = read(rides(tmp_path, "fare > 99", features=features, split=split))
        assert (len(batch.keys), batch.rows, batch.left_out, batch.rejects) == (0, 0, 5, [])


def test_the_hive_key_of_a_partition_is_a_column_of_its_rows(tmp_path: Path) -> None:
    for day in ("1", "2"):
        write(RIDES, tmp_path / f"day={day}", "parquet")
    declared = rides(tmp_path, "day > 1")
    source = declared.source.model_copy(update={"partition_by": "day", "key": None})
    declared = declared.model_copy(update={"source": source})
    check_schema(declared, scan(source).files())
    assert [batch.left_out for batch in read(declared)] == [5, 0]


def test_keys_of_rows_that_are_left_out_may_be_shared(tmp_path: Path) -> None:
    write_rows({"id": ["a", "a", "b"], "fare": [1.0, 0.0, 2.0]}, tmp_path / "data" / "a.parquet")
    workspace = Workspace(tmp_path / "workspace")

    def count(where: str) -> KeysChecked:
        declared = rides(tmp_path / "data", where)
        return check_unique(declared, scan(declared.source).partitions, workspace)

    assert count("fare > 0") == KeysChecked(rows=2, partitions_read=1)
    with pytest.raises(BraidError, match="the key 'a' twice"):
        count("fare >= 0")


def test_rows_to_predict_are_not_filtered_and_need_no_column_of_an_expression(
    tmp_path: Path,
) -> None:
    write({"id": ["a", "b"], "city": ["Bern", "Chur"]}, tmp_path, "csv")
    declared = rides(tmp_path / "elsewhere", "fare > 0")
    (batch,) = read_features(declared, str(tmp_path / "a.csv"), 100)
    assert (batch.keys.tolist(), batch.left_out) == ([b"a", b"b"], 0)


@pytest.mark.parametrize(
    ("where", "targets", "message"),
    [
        (
            "fair > 0",
            {},
            r"source.where, in .*parquet, at character 1: expected one of the columns",
        ),
        ("fare", {}, r"source.where, in .*: expected yes or no, received 'fare', a number"),
        (None, {"expression": "tip > 1"}, r"targets.big_tip.expression, in .* at character 1: "),
        (None, {"expression": "fare * 2", "kind": "multiclass"}, "received type double"),
    ],
)
def test_an_expression_that_does_not_fit_the_table_is_refused_before_a_run(
    tmp_path: Path, where: str | None, targets: dict[str, Any], message: str
) -> None:
    write(RIDES, tmp_path, "parquet")
    declared = rides(tmp_path, where, targets={"big_tip": BIG_TIP | targets})
    with pytest.raises(BraidError, match=message):
        check_schema(declared, scan(declared.source).files())


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"where": "fare >"}, r"source.where: expected an expression on one line"),
        (
            {"targets": {"t": BIG_TIP | {"column": "x"}}},
            "targets.t.*: expected column or expression",
        ),
        ({"targets": {"t": BIG_TIP | {"expression": "1 > 0"}}}, "with a column in it"),
        (
            {"features": {"x": {"kind": "numeric", "column": "big_tip"}}},
            "targets.big_tip: .* another",
        ),
        ({"split": {"by": "hash", "column": "big_tip"}}, "targets.big_tip: expected another name"),
    ],
)
def test_an_expression_that_no_table_could_have_is_refused(
    tmp_path: Path, declared: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=message):
        rides(tmp_path, **declared)


def test_a_filter_beside_windows_is_refused(tmp_path: Path) -> None:
    windows = {"time": "day", "length": 2, "values": ["fare"]}
    with pytest.raises(DeclarationError, match=r"source.where: expected no filter beside windows"):
        pipeline(
            tmp_path,
            source={"windows": windows, "where": "fare > 0"},
            split={"by": "time", "column": "day", "validation_from": 1, "test_from": 2},
            features={"fare": {"kind": "sequence", "length": 2}},
            targets={"next": {"kind": "numeric", "column": "fare_next_1"}},
        )


def test_a_filter_and_an_expression_name_other_shards(tmp_path: Path) -> None:
    plain = rides(tmp_path, targets={"big_tip": {"kind": "binary"}})
    variants = [plain, rides(tmp_path), rides(tmp_path, "fare > 0"), rides(tmp_path, "fare > 1")]
    assert len({variant.data_fingerprint() for variant in variants}) == 4
