from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transforms.conftest import Table, kinds_rows

Transform = Callable[..., dict[str, np.ndarray]]

AREAS = np.array([i for i in range(100) if i % 5 < 3], np.float64)  # of the training rows


def test_z_score_is_by_the_training_rows(transform_rows: Transform) -> None:
    scaled = transform_rows(area=[0.0, 50.0])["area"]
    assert scaled == pytest.approx((np.array([0.0, 50.0]) - AREAS.mean()) / AREAS.std(), rel=1e-5)


def test_missing_number_is_the_mean_and_is_indicated(transform_rows: Transform) -> None:
    outputs = transform_rows(area=[np.nan, AREAS.mean()])
    assert outputs["area"] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert outputs["area__missing"].tolist() == [1.0, 0.0]


def test_min_max_maps_the_training_rows_to_the_unit_interval(transform_rows: Transform) -> None:
    scaled = transform_rows(area=[0.0, AREAS.max(), 2 * AREAS.max()])["area_range"]
    assert scaled == pytest.approx([0.0, 1.0, 2.0])


def test_log_is_symmetric_and_standardized(transform_rows: Transform) -> None:
    logs = np.log1p(AREAS)
    scaled = transform_rows(area=[-10.0, 10.0])["area_log"]
    expected = (np.array([-np.log1p(10), np.log1p(10)]) - logs.mean()) / logs.std()
    assert scaled == pytest.approx(expected, rel=1e-5)


def test_buckets_hold_equal_shares(transform_rows: Transform) -> None:
    buckets = transform_rows(area=AREAS.astype(np.float32))["area_bucket"]
    assert buckets.dtype == np.int64
    assert np.bincount(buckets) == pytest.approx([15, 15, 15, 15], abs=1)


def test_unscaled_number_stays_and_has_the_declared_default(transform_rows: Transform) -> None:
    assert transform_rows(area=[3.5, np.nan])["area_raw"].tolist() == [3.5, -1.0]


def test_each_position_of_a_list_has_its_own_scale(transform_rows: Transform) -> None:
    scaled = transform_rows(sizes=[[50.0, 100.0, 7.0]])["sizes"]
    z = (50.0 - AREAS.mean()) / AREAS.std()
    assert scaled[0] == pytest.approx([z, z, 0.0], rel=1e-5)


def training(column: str) -> np.ndarray:
    """Returns the values of a column that the training rows of `kinds` have."""
    rows = kinds_rows(100)
    values = zip(rows[column], rows["fold"], strict=True)
    return np.array([v for v, fold in values if fold == "train" and v is not None])


SQUARES = training("area")
PAIRS = training("pair")


def test_rank_is_the_share_of_the_training_rows_below(transform_kinds: Transform) -> None:
    ranks = transform_kinds(area=SQUARES)["rank"]
    below = (SQUARES[None, :] < SQUARES[:, None]).mean(axis=1)
    assert ranks == pytest.approx(below, abs=0.03)  # a row is 0.018, a boundary 0.01


def test_rank_is_linear_between_two_boundaries(transform_kinds: Transform) -> None:
    # With two quantiles the middle boundary alone is known.
    low, middle, high = SQUARES.min(), np.sort(SQUARES)[len(SQUARES) // 2], SQUARES.max()
    values = [low, (low + middle) / 2, middle, (middle + high) / 2, high, 2 * high, -1]
    ranks = transform_kinds(area=values)["coarse_rank"]
    assert ranks == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 0], abs=0.01)


def test_value_that_many_rows_share_has_the_middle_of_their_ranks(
    transform_kinds: Transform,
) -> None:
    # A quarter of the training rows is below 0, a half is 0, a quarter is above.
    ranks = transform_kinds(tied=[-50.0, 0.0, 48.0])["tied"]
    assert ranks == pytest.approx([0.0, 0.5, 1.0], abs=0.01)


def test_rank_of_a_column_without_a_training_value_is_finite(transform_kinds: Transform) -> None:
    assert np.isfinite(transform_kinds(never=[np.nan, -1.0, 0.0, 1.0])["never"]).all()


def test_each_position_has_its_own_ranks_and_buckets(transform_kinds: Transform) -> None:
    outputs = transform_kinds(pair=PAIRS)
    below = (PAIRS[None] < PAIRS[:, None]).mean(axis=1)
    assert outputs["pair_rank"] == pytest.approx(below, abs=0.03)
    buckets = outputs["pair_bucket"]
    assert buckets.dtype == np.int64
    for position in range(2):
        shares = np.bincount(buckets[:, position], minlength=4) / len(PAIRS)
        assert shares == pytest.approx([0.25] * 4, abs=0.03)
    assert (buckets[:, 0] + buckets[:, 1]).tolist() == pytest.approx([3] * len(PAIRS), abs=1)


ANY_NUMBERS = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20)
# The graph is loaded once for all examples.
on_a_frozen_graph = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)


@on_a_frozen_graph
@given(numbers=ANY_NUMBERS)
def test_greater_numbers_have_no_lower_rank(
    transform_kinds: Transform, numbers: list[float]
) -> None:
    finite = sorted(number for number in numbers if np.isfinite(number)) or [0.0]
    outputs = transform_kinds(area=finite, tied=finite)
    for name in ("rank", "coarse_rank", "tied"):
        assert ((outputs[name] >= 0) & (outputs[name] <= 1)).all()
        assert (np.diff(outputs[name]) >= 0).all()


@on_a_frozen_graph
@given(numbers=ANY_NUMBERS)
def test_clipped_number_is_no_further_from_the_mean(
    transform_kinds: Transform, numbers: list[float]
) -> None:
    outputs = transform_kinds(area=numbers)
    assert (np.abs(outputs["clipped"]) <= 1.5).all()
    assert (np.abs(outputs["clipped_log"]) <= 0.5).all()
    values = np.array(numbers, np.float32)
    filled = np.where(np.isfinite(values), values, SQUARES.mean()).astype(np.float64)
    expected = np.clip((filled - SQUARES.mean()) / SQUARES.std(), -1.5, 1.5)
    assert outputs["clipped"] == pytest.approx(expected, abs=1e-4)


def test_list_has_one_indicator_and_is_missing_as_a_whole(transform_kinds: Transform) -> None:
    nan, inf = np.nan, np.inf
    outputs = transform_kinds(pair=[[3.0, -9.0], [nan, nan], [nan, -9.0], [3.0, inf]])
    assert outputs["pair__missing"].tolist() == [0.0, 1.0, 1.0, 1.0]
    assert outputs["pair"].shape == (4, 2)
    assert outputs["pair"][0] == pytest.approx([-1.0, 1.0])  # clipped
    assert outputs["pair"][1:] == pytest.approx(np.zeros((3, 2)), abs=1e-6)


def edges_of(table: Table) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Returns the stored edges of every feature of numbers, by column."""
    job = table.job()
    manifest = job.folders().read_transform(job.transform)
    assert manifest is not None
    return {stored.name: stored.edges for stored in manifest.inputs()}


@pytest.mark.parametrize("name", ["area", "area_range", "area_log", "area_raw"])
def test_edges_are_training_numbers_on_the_scale_of_the_feature(
    name: str, mixed: Table, transform_rows: Transform
) -> None:
    (edges,) = edges_of(mixed)[name]
    scaled = np.sort(transform_rows(area=AREAS)[name])
    assert len(edges) > 40  # of 60 distinct numbers
    assert list(edges) == sorted(set(edges))
    assert (edges[0], edges[-1]) == pytest.approx((scaled[0], scaled[-1]), rel=1e-5, abs=1e-6)
    distances = np.abs(np.array(edges)[:, None] - scaled).min(axis=1)
    assert distances.max() < 1e-5


def test_clipped_edges_are_within_the_clip(kinds: Table) -> None:
    (edges,) = edges_of(kinds)["clipped"]
    assert edges[-1] == 1.5
    assert -1.5 < edges[0] < 0
    assert len(edges) == len(set(edges))


def test_ranks_have_their_quantiles_as_edges_and_buckets_have_none(
    mixed: Table, kinds: Table
) -> None:
    assert edges_of(kinds)["coarse_rank"] == ((0.0, 0.5, 1.0),)
    assert edges_of(mixed)["area_bucket"] == ()


def test_each_position_of_a_list_has_its_own_edges_and_a_constant_one_has_none(
    mixed: Table, transform_rows: Transform
) -> None:
    first, second, constant = edges_of(mixed)["sizes"]
    assert constant == ()
    scaled = transform_rows(sizes=[[0.0, 0.0, 7.0], [97.0, 194.0, 7.0]])["sizes"]
    for edges, column in ((first, 0), (second, 1)):
        assert (edges[0], edges[-1]) == pytest.approx(tuple(scaled[:, column]), rel=1e-5)
