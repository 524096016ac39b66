from __future__ import annotations

import numpy as np

from trainer.data.shards import shard_files
from trainer.evaluation import slices
from trainer.evaluation.slices import cut, find_slices
from transforms.contract.declaration.judgement.evaluation import EvaluationSpec


def _rows(values, how):
    return {label: rows.tolist() for label, rows in cut(values, how)}


def test_a_category_is_cut_by_its_values_and_the_most_frequent_comes_first():
    values = np.array([b"Bonn", b"", b"Ulm", b"Ulm"], object)
    rows = _rows(values, "values")
    assert list(rows) == ["is Ulm", "is missing", "is Bonn"]
    assert rows["is Ulm"] == [2, 3]


def test_a_number_is_cut_into_parts_with_as_many_rows_and_missing_ones_are_a_part():
    rows = _rows(np.array([1.0, 2.0, 3.0, 4.0, np.nan, np.inf, -np.inf]), 2)
    assert rows == {"up to 2.5": [0, 1], "above 2.5": [2, 3], "is missing": [4, 5, 6]}


def test_equal_numbers_are_in_one_part():
    rows = _rows(np.array([0.0, 0.0, 0.0, 5.0]), 4)
    assert rows == {"up to 0": [0, 1, 2], "above 0 up to 1.25": [], "above 1.25": [3]}


def test_a_text_is_cut_by_its_characters():
    rows = _rows(
        np.array(["ä".encode(), b"four", b"fifty", "schön ist".encode()], object), "length"
    )
    assert next(iter(rows)) == "up to 3.25 characters"
    assert list(rows.values()) == [[0], [1], [2], [3]]


def test_slices_are_of_the_test_rows_raw_values(trainer_run, monkeypatch):
    monkeypatch.setattr(slices, "FEWEST_ROWS", 3)
    job = trainer_run.job
    declared = EvaluationSpec(slices=("color", {"price": 2}, {"review": "length"}))
    subsets = find_slices(declared, job.manifest(), shard_files(job, "test", "raw"))
    assert {own.feature for own in subsets} == {"color", "price", "review"}
    numbers = [number for number in range(120) if number % 7 == 5]
    (red,) = (own.rows for own in subsets if own.label == "is red")
    assert [numbers[row] for row in red] == [n for n in numbers if n % 4 == 0]
