"""Columns are what people would call them, as far as their values and names tell."""

from __future__ import annotations

from base64 import b64encode

import numpy as np
import pyarrow as pa
import pytest

from transforms.proposal.classes.classifier import Trees, column_class, shipped
from transforms.proposal.classes.profile import ColumnProfile, profile

_MIXED = np.random.default_rng(0)
_COLUMNS = {
    "numeric": ("revenue", [f"{x:.2f}" for x in _MIXED.lognormal(8, 1, 500)]),
    "categorical": ("country", [["Belgium", "Austria", "Portugal"][i % 3] for i in range(500)]),
    "datetime": ("created_at", [f"{1 + i % 12}/{1 + i % 28}/2016" for i in range(500)]),
    "embedded-number": ("price", [f"${1_000 + 7 * i:,}.50" for i in range(500)]),
    "list": ("colors", [f"['red', {i}, 'green']" for i in range(500)]),
    "url": ("link", [f"http://example.com/page/{i}" for i in range(500)]),
    "sentence": (
        "description",
        [
            f"This is the long comment number {i} of a customer who was not happy."
            for i in range(99)
        ],
    ),
    "not-generalizable": ("row_id", [str(i) for i in range(1, 501)]),
}


@pytest.mark.parametrize("label", list(_COLUMNS))
def test_a_typical_column_has_its_class(label):
    name, values = _COLUMNS[label]
    assert column_class(profile(name, pa.array(values, pa.large_string()))) == label


def test_a_profile_counts_as_the_labelled_columns_do():
    texts = pa.array(["2", None, "4", "NA", "2", "", "9"], pa.large_string())
    assert profile("x", texts) == ColumnProfile(
        name="x", rows=7, missing=3, distinct=3, mean=4.25, std=pytest.approx(3.304, abs=1e-3),
        min=2.0, max=9.0, mean_words=1.0, mean_characters=pytest.approx(1.4),
        samples=("2", "", "4", "9", "2"),
    )  # fmt: skip


def test_probabilities_add_up_to_one_also_for_a_column_without_values():
    empty = profile("x", pa.array([None, None], pa.large_string()))
    assert sum(shipped().probabilities(empty).values()) == pytest.approx(1.0)


def test_letters_before_a_number_are_no_unit_of_it():
    codes = profile("column", pa.array([f"k{i}" for i in range(50)], pa.large_string()))
    assert shipped().probabilities(codes)["embedded-number"] > 0.3  # else the test tells nothing
    assert column_class(codes) != "embedded-number"


def test_keys_with_values_are_no_list():
    texts = [f'{{"id": {i}, "name": "n{i % 7}"}}' for i in range(200)]
    assert column_class(profile("payload", pa.array(texts, pa.large_string()))) != "list"


def test_a_row_walks_every_tree_from_its_root_to_a_leaf():
    def encoded(values: list[list[float]], type_: str) -> bytes:
        return b64encode(np.array(values, type_).tobytes())

    trees = Trees(
        splits=2,
        measures=encoded([[0, 1], [1, 0]], "u1"),
        thresholds=encoded([[0.5, 10], [3, 0]], "<f2"),
        left=encoded([[-1, -2], [-1, -1]], "i1"),
        right=encoded([[1, -3], [-2, -1]], "i1"),
        leaves=encoded([[1, 2, 3], [40, 50, 0]], "i1"),
    )
    assert trees.answers(np.array([0.5, 20], np.float32)).tolist() == [1, 50]
    assert trees.answers(np.array([0.6, 10], np.float32)).tolist() == [2, 50]
    assert trees.answers(np.array([0.6, 11], np.float32)).tolist() == [3, 50]
    assert trees.answers(np.array([0.4, 3], np.float32)).tolist() == [1, 40]
