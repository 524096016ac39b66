"""Two categories and two numbers to a label, of which each column has a quarter of the signal."""

from __future__ import annotations

import json

import numpy as np
import pytest

from flows.templates.categorical_numeric.table import effects
from tests.templates.project import Project, as_printed, best_threshold, majority

pytestmark = pytest.mark.slow

_COLUMNS = ("contract", "payment", "months", "bill")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return as_printed("categorical-numeric", tmp_path_factory.mktemp("categorical_numeric"))


def test_all_four_columns_are_used(project):
    rows = project.rows("test")
    pushes = effects(*(np.asarray(rows[name]) for name in _COLUMNS))
    whole = sum(pushes.values())
    # The most that a model could do without one of the columns, whichever that is: some 0.83.
    without_one = max(best_threshold(whole - part, rows["left"]) for part in pushes.values())
    assert without_one < 0.88
    assert majority(rows["left"]) < 0.6
    assert project.record()["metrics"]["test_left_accuracy"] >= without_one + 0.08


def test_numbers_are_standardized_with_the_training_rows_alone(project):
    folder = project.folder / "workspace" / "transforms" / project.record()["transform"]
    moments = json.loads((folder / "statistics" / "moments.json").read_text())
    rows = project.rows("train")
    assert project.transform().rows == len(rows)
    for name in ("months", "bill"):
        training = np.asarray(rows[name], np.float64)
        assert moments[name]["mean"] == [pytest.approx(training.mean(), rel=1e-5)]
        assert moments[name]["deviation"] == [pytest.approx(training.std(), rel=1e-5)]
        everything = np.concatenate(
            [np.asarray(project.rows(split)[name]) for split in ("train", "validation", "test")]
        )
        assert abs(everything.mean() - training.mean()) > 1e-3 * training.mean()


def test_categories_are_one_hot(project):
    stored = {feature.name: feature for feature in project.transform().stored}
    # A missing one, the vocabulary, an unknown one.
    assert stored["contract"].cardinality == 1 + 3 + 1
    assert stored["payment"].cardinality == 1 + 4 + 1
    encoders = project.pipeline().model.encoders
    assert {name: encoder.kind for name, encoder in encoders.items()} == {
        "contract": "one_hot",
        "payment": "one_hot",
    }
