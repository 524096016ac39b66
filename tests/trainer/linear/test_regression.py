from __future__ import annotations

import numpy as np
import pytest

from trainer.linear.regression import PENALTIES, fit_linear, principal_axes


@pytest.fixture
def columns():
    return np.random.default_rng(3).normal(size=(60, 4)).astype(np.float32) + 5


def test_ridge_is_that_of_the_normal_equations(columns):
    numbers = (columns @ np.array([[1.0], [-2.0], [0.0], [3.0]]) + 7).astype(np.float32)
    model = fit_linear("identity", columns, numbers, (columns, numbers))
    assert model.penalty == min(PENALTIES)
    centered = columns - columns.mean(axis=0)
    square = centered.T @ centered + model.penalty * np.eye(4)
    expected = np.linalg.solve(square, centered.T @ (numbers - numbers.mean()))
    np.testing.assert_allclose(model.weights, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.answers(columns), numbers, atol=0.1)


@pytest.mark.parametrize("rows", [60, 3])
@pytest.mark.parametrize(("link", "classes"), [("sigmoid", 1), ("sigmoid", 2), ("softmax", 3)])
def test_logistic_regression_ends_where_its_loss_is_flat(columns, rows, link, classes):
    random = np.random.default_rng(4)
    columns = columns[:rows]
    scores = columns @ random.normal(size=(4, classes))
    truths = np.float32(scores > np.median(scores))
    if link == "softmax":
        truths = np.eye(3, dtype=np.float32)[(scores + random.gumbel(size=scores.shape)).argmax(1)]
    model = fit_linear(link, columns, truths, None)
    errors = model.answers(columns) - truths
    slope = (columns - model.offset).T @ errors + model.penalty * model.weights
    assert np.abs(slope).max() < 0.05
    assert np.abs(errors.sum(axis=0)).max() < 0.05


def test_more_columns_than_rows_have_as_many_axes_as_rows_that_differ(columns):
    wide = columns.T - columns.T.mean(axis=0)  # 4 rows of 60 columns, which add up to 0
    axes = principal_axes(wide)
    assert axes.shape == (60, 3)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-4)
    np.testing.assert_allclose(wide @ axes @ axes.T, wide, atol=1e-3)


def test_columns_without_any_difference_leave_the_mean(columns):
    constant = np.ones_like(columns)
    numbers = np.arange(60, dtype=np.float32)[:, np.newaxis]
    model = fit_linear("identity", constant, numbers, None)
    assert model.answers(constant[:2]).tolist() == [[29.5], [29.5]]
    labels = np.float32(numbers < 15)
    model = fit_linear("sigmoid", constant, labels, None)
    assert model.answers(constant[:1])[0, 0] == pytest.approx(0.25, abs=0.01)


def test_columns_of_noise_get_the_largest_penalty(columns):
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, (60, 1)).astype(np.float32)
    model = fit_linear("sigmoid", columns[:30], labels[:30], (columns[30:], labels[30:]))
    assert model.penalty == max(PENALTIES)
