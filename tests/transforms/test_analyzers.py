from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from transforms.analyzers import CountTerms, SumMoments

TERMS = st.lists(st.sampled_from([b"a", b"b", b"c", b""]), max_size=8)


@given(st.lists(st.tuples(TERMS, TERMS), min_size=1, max_size=6), st.integers(1, 4))
def test_terms_are_counted_whatever_the_grouping(
    batches: list[tuple[list[bytes], list[bytes]]], groups: int
) -> None:
    combine = CountTerms()
    accumulators = []
    for group in range(groups):
        accumulator = combine.create_accumulator()
        for batch in batches[group::groups]:
            columns = tuple(np.array(values, object) for values in batch)
            accumulator = combine.add_input(accumulator, columns)
        accumulators.append(combine.compact(accumulator))
    table = combine.extract_output(combine.merge_accumulators(accumulators))
    found = {(row["column"], row["term"]): row["count"] for row in table.to_pylist()}
    expected: dict[tuple[int, bytes], int] = {}
    for batch in batches:
        for column, values in enumerate(batch):
            for term in values:
                expected[column, term] = expected.get((column, term), 0) + 1
    assert found == expected


VALUES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.just(2)),
    elements=st.floats(-1e3, 1e3, width=32) | st.just(float("nan")),
)


@given(VALUES, st.integers(1, 5))
def test_moments_are_those_of_the_whole_whatever_the_batches(
    values: np.ndarray, batches: int
) -> None:
    combine = SumMoments()
    parts = [
        combine.add_input(combine.create_accumulator(), (part,))
        for part in np.array_split(values, batches)
        if len(part)
    ]
    sums = combine.extract_output(combine.merge_accumulators([None, *parts]))
    assert sums is not None
    for column in range(2):
        present = values[:, column][~np.isnan(values[:, column])].astype(np.float64)
        count, mean, squares, low, high, missing = sums[:, column]
        assert (count, missing) == (len(present), len(values) - len(present))
        if len(present):
            assert mean == pytest.approx(present.mean(), abs=1e-6)
            assert squares / count == pytest.approx(present.var(), abs=1e-3)
            assert (low, high) == (present.min(), present.max())
