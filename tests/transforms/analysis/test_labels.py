from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.conftest import Table, write_rows
from transforms.analysis.freeze import analyze
from transforms.analysis.labels import labels
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.steps.monitoring import LabelsJob, LabelsResult, TargetLabels

Join = Callable[..., LabelsResult]
KEYS = [("a", 1), ("a", 2), ("b/c", 1), ("d", 4)]


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A frozen transform with a target of every kind that is no picture, and a key of two parts."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = {
        "shop": [f"s{i}" for i in range(20)],
        "till": list(range(20)),
        "fold": ["train"] * 20,
        "area": [float(i) for i in range(20)],
        "city": ["Rome", "Oslo"] * 10,
        "sold": [i % 2 == 0 for i in range(20)],
        "kind": ["x", "x", "y", "x"] * 5,
        "cost": [float(i) for i in range(20)],
        "tags": [["p"], ["p", "q"]] * 10,
    }
    write_rows(rows, folder / "data" / "rows.parquet")
    document = {
        "name": "flats",
        "source": {"path": str(folder / "data"), "key": ["shop", "till"]},
        "split": {"by": "column", "column": "fold"},
        "features": {
            "area": {"kind": "numeric"},
            "city": {"kind": "categorical", "missing": "reject"},
        },
        "targets": {
            "sold": {"kind": "binary"},
            "kind": {"kind": "multiclass"},
            "cost": {"kind": "numeric", "scale": "none"},
            "tags": {"kind": "multilabel", "length": 2},
        },
    }
    table = Table(parse(document), folder / "data", folder / "workspace")
    analyze(table.job().model_dump_json())
    return table


@pytest.fixture
def join(frozen: Table, tmp_path: Path) -> Join:
    """Returns a function that joins a log of four rows, columns of which are given, with labels."""

    def run(table: dict[str, list], *, csv: bool = False, **columns: list) -> LabelsResult:
        shops, tills = (list(part) for part in zip(*KEYS, strict=True))
        rows = {
            "shop": shops,
            "till": list(map(str, tills)),
            "braid.version": ["3"] * 4,
            "prediction.sold": [0.1, 0.2, 0.3, 0.4],
            "prediction.kind": ["x", "y", "x", "y"],
            "prediction.kind__probabilities": [[0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [0.2, 0.8]],
        } | columns
        day = tmp_path / "logged=2026-11-29"
        write_rows(rows, day / "120000-v3-a.parquet")
        path = tmp_path / ("labels.csv" if csv else "labels.parquet")
        if csv:
            lines = [",".join(table), *(",".join(map(str, r)) for r in zip(*table.values()))]  # noqa: B905
            path.write_text("\n".join(lines))
        else:
            pq.write_table(pa.table(table), path)
        return labels(
            LabelsJob(
                pipeline=frozen.pipeline,
                workspace=str(frozen.workspace),
                transform=frozen.job().transform,
                days=(str(day),),
                labels=str(path),
                version="3",
                folder=str(tmp_path),
            ).model_dump_json()
        )

    return run


def _written(folder: Path) -> dict[str, list]:
    with np.load(folder / "labelled.npz") as file:
        return {name: file[name].tolist() for name in file.files}


def test_labels_of_every_kind_are_joined_by_a_key_of_several_columns(
    join: Join, tmp_path: Path
) -> None:
    shops, tills = ["b/c", "z", "a"], [1, 9, 2]
    table = {"shop": shops, "till": tills, "sold": [True, True, False], "kind": ["y", "x", "x"]}
    result = join(table | {"cost": [2.5, 0.0, 7.0], "tags": [["q"], ["p"], ["p", "q"]]})
    assert (result.answered, result.joined, result.unlabelled, result.keyless) == (4, 2, 2, 0)
    assert result.targets["tags"] == TargetLabels(labelled=2, missing=0, invalid=0, unknown=0)
    written = _written(tmp_path)
    assert written["answer.sold"] == pytest.approx([0.2, 0.3]), "in the order of the log"
    assert written["answer.kind__probabilities"][0] == pytest.approx([0.3, 0.7])
    assert "answer.kind" not in written, "the probabilities say it"
    assert written["truth.sold"] == [0, 1]
    assert written["truth.kind"] == [0, 1], "x is the more frequent class"
    assert written["truth.cost"] == [7.0, 2.5]
    assert written["truth.tags"] == [[1, 2], [2, 0]]


def test_a_label_that_is_missing_invalid_or_of_no_class_costs_its_row_this_label_alone(
    join: Join, tmp_path: Path
) -> None:
    shops, tills = ["a", "a", "b/c", "d"], [1, 2, 1, 4]
    table = {"shop": shops, "till": tills, "kind": ["x", "w", "", "y"]}
    result = join(table | {"cost": ["much", "", "3", "4"]}, csv=True)
    assert result.absent == ("sold", "tags")
    assert result.targets == {
        "kind": TargetLabels(labelled=2, missing=1, invalid=0, unknown=1),
        "cost": TargetLabels(labelled=2, missing=1, invalid=1, unknown=0),
    }
    assert _written(tmp_path)["known.kind"] == [True, False, False, True]


def test_rows_without_a_key_of_other_versions_and_asked_for_again_are_counted(
    join: Join, tmp_path: Path
) -> None:
    log = {"shop": [None, "a", "a", "d"], "till": ["1", "2", "2", "4"]}
    version = {"braid.version": ["3", "3", "3", "2"]}
    result = join({"shop": ["a"], "till": [2], "sold": [True]}, **log, **version)
    counts = (result.answered, result.other_versions, result.keyless, result.repeated)
    assert counts == (3, 1, 1, 1)
    assert _written(tmp_path)["answer.sold"] == pytest.approx([0.3]), "the last answer counts"


def test_files_of_other_versions_alone_are_left_out(join: Join, tmp_path: Path) -> None:
    rows = {"shop": ["a"], "till": ["2"], "braid.version": ["2"], "prediction.sold": [0.9]}
    answers = {"prediction.kind__probabilities": [[0.5, 0.5]]}
    write_rows(rows | answers, tmp_path / "logged=2026-11-29" / "110000-v2-a.parquet")
    result = join({"shop": ["a"], "till": [2], "sold": [True], "kind": ["x"]})
    assert (result.answered, result.other_versions, result.joined) == (4, 1, 1)


def test_rows_without_an_answer_are_not_joined(join: Join) -> None:
    answers = {"prediction.sold": [None, 0.2, 0.3, 0.4]}
    assert join({"shop": ["a"], "till": [1], "sold": [True]}, **answers).joined == 0


def test_a_key_that_the_labels_have_twice_is_refused(join: Join) -> None:
    table = {"shop": ["a", "a"], "till": [1, 1], "sold": [True, False]}
    with pytest.raises(BraidError, match="the key 'a/1' twice"):
        join(table)


def test_labels_without_the_key_or_any_target_are_refused(join: Join) -> None:
    with pytest.raises(BraidError, match="expected a column 'till'"):
        join({"shop": ["a"], "sold": [True]})
    with pytest.raises(BraidError, match="a column of a target: cost, kind, sold, tags"):
        join({"shop": ["a"], "till": [1]})
