from __future__ import annotations

import numpy as np
import pytest

from trainer.linear.answers import INVERSE_LINKS, LINKS, Answered, answer_loss
from transforms.contract.columns.targets import Binary, Multiclass, SequenceTarget
from transforms.contract.workspace.manifest import StoredFeature, TargetStatistics


def answered(target, stored, **statistics):
    return Answered(target, stored, TargetStatistics(**statistics), LINKS[type(target)])


def stored(kind, dtype="float32", shape=(), cardinality=None):
    return StoredFeature(
        name="y", role="target", kind=kind, dtype=dtype, shape=shape, cardinality=cardinality
    )


def test_class_ids_become_a_column_for_each_class():
    how = answered(Multiclass(kind="multiclass"), stored("multiclass", "int64", cardinality=3))
    matrix = how.matrix(np.array([[2], [0]]))
    assert matrix.tolist() == [[0, 0, 1], [1, 0, 0]]
    np.testing.assert_array_equal(how.predictions(matrix), matrix)


def test_a_probability_is_one_number_a_row():
    how = answered(Binary(kind="binary"), stored("binary"))
    assert how.matrix(np.array([[1.0], [0.0]])).tolist() == [[1.0], [0.0]]
    assert how.predictions(np.array([[0.25], [0.5]])).tolist() == [0.25, 0.5]


def test_a_series_comes_back_in_its_shape_and_unit():
    target = SequenceTarget(kind="sequence", length=2, channels=2)
    how = answered(target, stored("sequence", shape=(2, 2)), mean=(10.0, 20.0), scale=(2.0, 4.0))
    matrix = how.matrix(np.array([[[0.0, 1.0], [2.0, 3.0]]]))
    assert matrix.tolist() == [[0.0, 1.0, 2.0, 3.0]]
    assert how.predictions(matrix).tolist() == [[[10.0, 24.0], [14.0, 32.0]]]


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_probabilities_of_huge_scores_are_finite(link):
    probabilities = INVERSE_LINKS[link](np.array([[1e4, -1e4]]))
    assert probabilities.tolist() == [[1.0, 0.0]]


def test_a_loss_is_the_log_loss_or_the_squared_error():
    truths, answers = np.array([[1.0, 0.0]]), np.array([[0.8, 0.2]])
    assert answer_loss("softmax", truths, answers) == pytest.approx(-np.log(0.8))
    assert answer_loss("sigmoid", truths, answers) == pytest.approx(-np.log(0.8))
    assert answer_loss("identity", truths, answers) == pytest.approx(0.04)
