from __future__ import annotations

import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.prediction.shadow import Answers, compare
from tests.support.command import BRAID
from tests.trainer.world import raw_rows
from transforms.contract.errors import BraidError


def _compare(tmp_path, champion, version, key=("id",), binary=("sold",)):
    answers = []
    for name, rows in (("1", champion), ("2", version)):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        answers.append(Answers(name, path, key, frozenset(binary)))
    return compare(*answers)


def _row(key, sold, kind, probabilities):
    return {"id": key, "sold": sold, "kind": kind, "kind__probabilities": probabilities}


def test_differences_of_numbers_and_labels_are_counted_row_by_row(tmp_path):
    same = _row("b", 0.9, "y", [0.5, 0.5])
    champion = [_row("a", 0.4, "x", [0.75, 0.25]), same, _row("c", None, None, None)]
    version = [_row("a", 0.6, "y", [0.25, 0.75]), same, _row("c", 0.1, "x", [1.0, 0.0])]
    compared = _compare(tmp_path, champion, version)
    sold, kind, probabilities = compared.differences
    assert (sold.rows, sold.same, sold.crossed, sold.at) == (2, 1, 1, "a")
    assert sold.mean == pytest.approx(0.1)
    assert sold.largest == pytest.approx(0.2)
    assert (kind.rows, kind.same, kind.commonest()) == (2, 1, [(("x", "y"), 1)])
    assert probabilities.mean == pytest.approx(0.25)
    assert compared.only == {"champion": 0, "version": 1}


def test_an_answer_that_only_one_of_them_gives_is_named(tmp_path):
    compared = _compare(tmp_path, [{"id": "a", "sold": 0.5}], [{"id": "a", "price": 1.0}])
    assert compared.missing == ("price", "sold")


@pytest.mark.parametrize("keys", [["a", "c"], ["a"], ["a", "b", "c"]])
def test_answers_for_other_rows_are_refused(tmp_path, keys):
    champion = [{"id": key, "sold": 0.5} for key in ("a", "b")]
    with pytest.raises(BraidError, match="other keys"):
        _compare(tmp_path, champion, [{"id": key, "sold": 0.5} for key in keys])


def test_a_key_of_two_columns_names_a_row_and_is_no_answer(tmp_path):
    champion, version = (
        [{"shop": shop, "day": "1", "sold": sold} for shop, sold in zip("ab", pair, strict=True)]
        for pair in ((0.5, 0.5), (0.5, 0.75))
    )
    compared = _compare(tmp_path, champion, version, key=("shop", "day"))
    assert [(item.name, item.rows, item.at) for item in compared.differences] == [
        ("sold", 2, "b, 1")
    ]
    with pytest.raises(BraidError, match="other keys"):
        _compare(tmp_path, champion, [row | {"day": "2"} for row in version], key=("shop", "day"))


@pytest.mark.parametrize(
    ("before", "after"), [(0.5, "yes"), ("yes", 0.5), ([0.5, 0.5], ["yes"]), (b"png", 0.5)]
)
def test_answers_of_a_target_whose_kind_changed_are_not_compared(tmp_path, before, after):
    champion, version = ({"id": "a", "area": 1.0, "sold": answer} for answer in (before, after))
    compared = _compare(tmp_path, [champion], [version])
    assert compared.unlike == ("sold",)
    assert [item.name for item in compared.differences] == ["area"]


def test_the_command_scores_with_both_and_tells_how_they_differ(project, tmp_path):
    columns = ("color", "unit price", "sizes", "band", "photo")
    rows = {name: raw_rows(range(12))[name].tolist() for name in columns}
    rows["color"] = [value.decode() for value in rows["color"]]
    rows["review"] = [None] * 12
    rows["id"] = [f"r{n}" for n in range(12)]
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    command = [*BRAID, "shadow", str(project.declaration), "2"]
    command += ["--input", str(tmp_path / "rows.parquet"), "--output", str(tmp_path / "x.parquet")]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    assert "tiny version 2 beside version 1, the champion: 12 rows" in told
    assert "mean difference" in told
    both = pq.read_table(tmp_path / "x.parquet")
    assert {"id", "champion.cost", "shadow.cost", "champion.error"} <= set(both.column_names)
    assert both["champion.cost"] != both["shadow.cost"]
    assert project.registry.history("tiny").champion == "1"
