from __future__ import annotations

import pickle
import tempfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from transforms.contract.workspace.documents import DamagedFile
from transforms.statistics.accumulators import Accumulated, merged

TERMS = st.lists(st.sampled_from([b"a", b"b", b"c", b""]), max_size=8)


@given(st.lists(st.tuples(TERMS, TERMS), min_size=1, max_size=6), st.integers(1, 4))
def test_terms_are_counted_whatever_the_grouping(
    batches: list[tuple[list[bytes], list[bytes]]], groups: int
) -> None:
    parts = []
    for group in range(groups):
        part = Accumulated()
        for batch in batches[group::groups]:
            for name, values in zip(("x", "y"), batch, strict=True):
                part.add_terms(name, np.array(values, object))
        parts.append(part)
    total = merged(parts)
    rows = [(name, row) for name in ("x", "y") for row in total.counts(name).to_pylist()]
    counts = {(name, row["term"]): row["count"] for name, row in rows}
    assert len(counts) == len(rows)
    expected: dict[tuple[str, bytes], int] = {}
    for batch in batches:
        for name, values in zip(("x", "y"), batch, strict=True):
            for term in values:
                expected[name, term] = expected.get((name, term), 0) + 1
    assert counts == expected


VALUES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.just(2)),
    elements=st.floats(-1e3, 1e3, width=32) | st.just(float("nan")),
)


@given(VALUES, st.integers(1, 5))
def test_moments_are_those_of_the_whole_whatever_the_batches(
    values: np.ndarray, batches: int
) -> None:
    parts = [Accumulated()]  # a partition without rows changes nothing
    for rows in np.array_split(values, batches):
        part = Accumulated()
        part.add_moments(["x", "y"], rows)
        parts.append(part)
    moments = merged(parts).moments
    sums = np.concatenate([moments["x"], moments["y"]], axis=1)
    for column in range(2):
        present = values[:, column][~np.isnan(values[:, column])].astype(np.float64)
        count, mean, squares, low, high, missing = sums[:, column]
        assert (count, missing) == (len(present), len(values) - len(present))
        if len(present):
            assert mean == pytest.approx(present.mean(), abs=1e-6)
            assert squares / count == pytest.approx(present.var(), abs=1e-3)
            assert (low, high) == (present.min(), present.max())


def test_quantiles_are_those_of_the_whole_to_a_thousandth_of_the_ranks() -> None:
    values = np.random.default_rng(1).permutation(20_000).astype(np.float32)
    columns = np.stack([values, -values], axis=1)
    columns[::10] = np.nan
    parts = []
    for rows in np.array_split(columns, 7):
        part = Accumulated()
        part.add_quantiles("x", rows)
        parts.append(part)
    quantiles = merged(parts).quantiles("x", 4, 2)
    present = columns[~np.isnan(columns[:, 0])]
    expected = np.quantile(present, [0.25, 0.5, 0.75], axis=0).T
    np.testing.assert_allclose(quantiles, expected, atol=20_000 * 0.002)


def test_columns_without_a_value_have_quantiles_of_zero() -> None:
    part = Accumulated()
    part.add_quantiles("x", np.full((3, 2), np.nan, np.float32))
    assert part.quantiles("x", 3, 2).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_statistics_file_that_others_wrote_runs_no_code(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "it-ran",)

    part = Accumulated(rows=3)
    part.sketches["x"] = SimpleNamespace(__getstate__=lambda: pickle.dumps(Code()))
    path = tmp_path / "part.arrow"
    part.write(path)
    with pytest.raises(DamagedFile, match=f"{path}: expected the file as Braid wrote it"):
        Accumulated.read(path)
    assert not (tmp_path / "it-ran").exists()


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_statistics_file_that_was_cut_or_changed_is_named_or_read(place: int, byte: int) -> None:
    part = Accumulated(rows=3)
    part.add_terms("words", np.array([b"b", b"a", b"b"], object))
    part.add_quantiles("x", np.array([[1.0], [2.0], [3.0]], np.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.arrow"
        part.write(path)
        content = bytearray(path.read_bytes())
        for cut in (content[: place % len(content)], content):
            if cut is content:
                content[place % len(content)] = byte
            path.write_bytes(bytes(cut))
            with suppress(DamagedFile):
                Accumulated.read(path).counts("words")


def test_statistics_are_read_as_they_were_written(tmp_path: Path) -> None:
    part = Accumulated(rows=3)
    part.rejects.update(["x: missing", "x: missing"])
    part.add_terms("words", np.array([b"b", b"a", b"b", b"\xff"], object))
    part.add_terms("none", np.array([], object))
    part.add_terms("colors", np.array([b"b"], object))
    part.add_moments(["x"], np.array([[1.0], [np.nan], [3.0]], np.float32))
    part.add_quantiles("x", np.array([[1.0], [2.0], [3.0]], np.float32))
    part.cut["words"] = 2
    part.write(tmp_path / "folder" / "part.arrow")
    again = Accumulated.read(tmp_path / "folder" / "part.arrow")
    again.merge(Accumulated())
    assert (again.rows, again.rejects, again.cut) == (3, {"x: missing": 2}, {"words": 2})
    assert sorted(again.counts("words").to_pylist(), key=lambda row: row["term"]) == [
        {"term": b"a", "count": 1},
        {"term": b"b", "count": 2},
        {"term": b"\xff", "count": 1},
    ]
    assert again.counts("colors").to_pylist() == [{"term": b"b", "count": 1}]
    assert again.counts("none").num_rows == 0
    np.testing.assert_array_equal(again.moments["x"], part.moments["x"])
    assert again.quantiles("x", 2, 1).tolist() == [[2.0]]
