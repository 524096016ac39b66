from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

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
