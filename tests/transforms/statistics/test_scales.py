from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from transforms.contract.workspace.manifest import TargetStatistics
from transforms.kinds.requests import ScaleRequest
from transforms.statistics.accumulators import Accumulated
from transforms.statistics.frozen import freeze, read_scales

ROWS = 400
RANDOM = np.random.default_rng(3)
LOGNORMAL = np.exp(RANDOM.normal(3, 1, ROWS))
EXPONENTIAL = -1_000 * np.log(1 - (np.arange(ROWS) + 0.5) / ROWS)


def frozen(numbers: np.ndarray, folder: Path, declared=None) -> TargetStatistics:
    """Returns the frozen scale of training rows, [rows, width]."""
    total = Accumulated()
    values = numbers.astype(np.float32)
    if len(values):
        total.add_moments(["y"], values)
        total.sample.add({"y": values})
    request = ScaleRequest("y", tf.zeros((0, numbers.shape[1])), declared=declared)
    freeze([request], total, folder)
    return read_scales(folder)["y"]


@pytest.mark.parametrize(
    ("numbers", "curve"),
    [
        (LOGNORMAL, "log"),
        (np.floor(LOGNORMAL / 10), "linear"),  # counts, some of them 0, whose logs lie far below
        (np.append(LOGNORMAL, -0.5), "linear"),  # one is negative
        (RANDOM.normal(100, 20, ROWS), "linear"),
        (RANDOM.uniform(0, 1, ROWS), "linear"),
        (np.exp(RANDOM.normal(0, 1, ROWS)) / 1e6, "linear"),  # so small that a log changes nothing
        (EXPONENTIAL, "linear"),  # whose logs are as skewed, to the left
        (LOGNORMAL[:8], "linear"),  # too few rows to tell
        (np.full(ROWS, 7.0), "linear"),
    ],
)
def test_a_log_is_proposed_for_skewed_numbers_that_it_evens(tmp_path, numbers, curve) -> None:
    assert frozen(numbers[:, np.newaxis], tmp_path).curve == curve


@pytest.mark.parametrize(("least", "curve"), [(1.0, "log"), (0.0, "linear"), (-1.0, "linear")])
def test_the_positions_of_a_list_have_one_curve(tmp_path, least, curve) -> None:
    pair = np.stack([LOGNORMAL, LOGNORMAL**1.2], axis=1)
    pair[0, 1] = least
    scale = frozen(pair, tmp_path)
    assert scale.curve == curve
    assert len(scale.mean) == len(scale.scale) == 2


def test_a_declared_scale_is_taken_whatever_the_rows_are(tmp_path) -> None:
    numbers = LOGNORMAL[:, np.newaxis]
    assert frozen(numbers, tmp_path / "a", "z_score").curve == "linear"
    assert frozen(-numbers, tmp_path / "b", "log").curve == "log"
    assert frozen(numbers, tmp_path / "c", "quantile").curve == "quantile"
    assert frozen(numbers, tmp_path / "d", "none") == TargetStatistics()


def test_a_log_is_standardized_and_knows_the_range_of_the_training_rows(tmp_path) -> None:
    numbers = np.expm1(np.array([[1.0], [2.0], [3.0]]))
    scale = frozen(numbers, tmp_path, "log")
    assert scale.mean == pytest.approx((2.0,))
    assert scale.scale == pytest.approx((np.sqrt(2 / 3),))
    assert scale.knots[0] == pytest.approx((np.expm1(1.0), np.expm1(3.0)))
    assert scale.scores[0] == pytest.approx((-np.sqrt(1.5), np.sqrt(1.5)))


def test_columns_with_fewer_different_numbers_repeat_their_last_knot(tmp_path) -> None:
    numbers = np.stack([LOGNORMAL, (LOGNORMAL > 20).astype(float)], axis=1)
    scale = frozen(numbers, tmp_path, "quantile")
    many, few = (np.array(knots) for knots in scale.knots)
    assert len(many) == len(few) == len(scale.scores[1])
    assert np.unique(few).tolist() == [0.0, 1.0]
    assert np.unique(scale.scores[1]).size == 2
    assert many[0] == np.float32(LOGNORMAL.min())
    assert many[-1] == np.float32(LOGNORMAL.max())


@pytest.mark.parametrize("declared", [None, "log", "quantile"])
def test_without_a_number_there_is_a_scale_all_the_same(tmp_path, declared) -> None:
    scale = frozen(np.zeros((0, 1)), tmp_path, declared)
    assert (scale.mean, scale.scale) == ((0.0,), (1.0,))
