from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.statistics import sampling
from transforms.statistics.sampling import RowSample


def _rows(first: int, count: int, width: int = 1) -> np.ndarray:
    rows = np.arange(first, first + count, dtype=np.float32)
    return np.stack([rows + 100_000 * column for column in range(width)], axis=1)


def test_few_rows_are_all_kept():
    sample = RowSample()
    sample.add({"x": _rows(0, 3)})
    sample.add({"x": np.array([[np.nan], [7.0]], np.float32)})
    (values,) = sample.columns["x"].T
    assert len(values) == 5
    assert sorted(values[~np.isnan(values)]) == [0.0, 1.0, 2.0, 7.0]


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 20))
def test_the_sample_of_samples_is_that_of_the_whole_whatever_the_grouping(sizes, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_MOST_ROWS", most)
        batches = [{"x": _rows(50 * n, size)} for n, size in enumerate(sizes)]
        whole, parts = RowSample(), [RowSample(), RowSample()]
        for number, batch in enumerate(batches):
            whole.add(batch)
            parts[number % 2].add(batch)
        parts[0].merge(parts[1])
    np.testing.assert_array_equal(parts[0].priorities, whole.priorities)
    np.testing.assert_array_equal(parts[0].columns["x"], whole.columns["x"])
    assert len(whole.priorities) == min(most, sum(sizes))


def test_many_rows_are_sampled_evenly_and_the_positions_of_a_row_stay_together():
    sample = RowSample()
    for first in range(0, 80_000, 8_000):
        sample.add({"x": _rows(first, 8_000, width=2)})
    values = sample.columns["x"]
    assert values.shape == (4_096, 2)
    np.testing.assert_array_equal(values[:, 1], values[:, 0] + 100_000)
    assert values[:, 0].mean() == pytest.approx(40_000, rel=0.03)
    shares = np.histogram(values[:, 0], bins=10, range=(0, 80_000))[0] / 4_096
    np.testing.assert_allclose(shares, 0.1, atol=0.02)


def test_of_a_wide_list_there_are_fewer_rows():
    sample = RowSample()
    for first in range(0, 6_000, 2_000):
        sample.add({"wide": _rows(first, 2_000, width=512), "x": _rows(first, 2_000)})
    assert sample.columns["wide"].shape == (512, 512)
    assert sample.columns["x"].shape == (4_096, 1)
    np.testing.assert_array_equal(sample.columns["wide"][:, 0], sample.columns["x"][:512, 0])


def test_of_a_series_a_row_gives_one_of_its_steps():
    sample = RowSample()
    series = np.arange(1_000 * 4 * 2, dtype=np.float32).reshape(1_000, 4, 2)
    sample.add({"x": series})
    values = sample.columns["x"]
    assert values.shape == (1_000, 2)
    np.testing.assert_array_equal(values[:, 1], values[:, 0] + 1)
    assert sorted(set((values[:, 0] // 2 % 4).tolist())) == [0, 1, 2, 3]


def test_a_sample_is_read_as_it_was_written():
    sample = RowSample()
    sample.add({"x": _rows(0, 5), "priorities": _rows(9, 5, width=2)})
    again = RowSample.from_bytes(sample.to_bytes())
    np.testing.assert_array_equal(again.priorities, sample.priorities)
    assert again.columns.keys() == sample.columns.keys()
    for name, values in sample.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)
    empty = RowSample.from_bytes(RowSample().to_bytes())
    assert (len(empty.priorities), empty.columns) == (0, {})
