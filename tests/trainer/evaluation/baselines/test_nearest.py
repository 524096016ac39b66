from __future__ import annotations

import numpy as np

from trainer.evaluation.baselines import nearest
from trainer.evaluation.baselines.nearest import TRUSTS, fit_nearest

SERIES = np.array([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]], np.float32)
LABELS = np.array([[1, 0], [1, 0], [0, 1]], np.float32)


def test_a_row_has_the_label_of_the_nearest_one():
    model = fit_nearest("softmax", SERIES, LABELS, (SERIES, LABELS))
    answers = model.answers(np.array([[0.4, 0.1], [3.5, 3.5]], np.float32))
    assert answers.argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-6)


def test_a_neighbour_that_is_often_wrong_is_trusted_less():
    assert fit_nearest("softmax", SERIES, LABELS, (SERIES, LABELS)).trust == max(TRUSTS)
    assert fit_nearest("softmax", SERIES, LABELS, (SERIES, 1 - LABELS)).trust == min(TRUSTS)


def test_neighbours_are_kept_from_the_whole_of_many_rows(monkeypatch):
    monkeypatch.setattr(nearest, "MOST_NEIGHBOURS", 2)
    rows = np.arange(8, dtype=np.float32)[:, np.newaxis]
    model = fit_nearest("sigmoid", rows, rows > 3, None)
    assert model.series.ravel().tolist() == [0.0, 4.0]
