from __future__ import annotations

import numpy as np

from transforms.statistics.pieces import edges_of_columns


def test_a_column_that_is_nearly_always_zero_has_edges_among_its_other_values():
    rare = np.arange(1, 81, dtype=np.float32)
    column = np.concatenate([np.zeros(920, np.float32), rare])
    (edges,) = edges_of_columns(column[:, None], 1)
    assert edges == sorted(set(edges))
    assert (edges[0], edges[-1]) == (0.0, 80.0)
    # Of equally many rows four pieces alone would lie there; of the distinct values 47.
    assert sum(edge > 0 for edge in edges) >= 47


def test_few_values_are_all_edges():
    column = np.array([3, 1, 1, 2, np.nan, 1], np.float32)
    assert edges_of_columns(column[:, None], 1) == [[1.0, 2.0, 3.0]]


def test_a_constant_column_and_one_without_rows_have_none():
    columns = np.array([[5, np.nan], [5, np.nan], [np.nan, np.nan]], np.float32)
    assert edges_of_columns(columns, 2) == [[], []]
    assert edges_of_columns(None, 3) == [[], [], []]


def test_every_column_has_its_own():
    columns = np.array([[0, 10], [1, 10], [0, 30]], np.float32)
    assert edges_of_columns(columns, 2) == [[0.0, 1.0], [10.0, 30.0]]
