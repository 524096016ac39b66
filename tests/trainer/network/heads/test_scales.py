"""From a target's numbers to what is learnt, and from an output back to the column's unit."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.network.heads import head_of
from trainer.network.heads.scales import in_unit, predicted, standardized
from transforms.contract.columns.targets import NumericTarget
from transforms.contract.workspace.manifest import TargetStatistics
from transforms.kinds.targets.scaling import scaled
from transforms.statistics.scales import divisors, target_scale

SCALES = ("z_score", "log", "quantile", "none", None)
SKEWED = np.array([[0.0], [0.0], [1.0], [2.0], [5.0], [20.0], [400.0]], np.float32)


def scale_of(declared, numbers: np.ndarray) -> TargetStatistics:
    """Returns the scale that training rows [rows, width] give."""
    exact = numbers.astype(np.float64)
    moments = {
        "count": np.full(numbers.shape[1], float(len(numbers))),
        "mean": exact.mean(axis=0),
        "deviation": divisors(exact.std(axis=0)),
        "minimum": exact.min(axis=0),
        "maximum": exact.max(axis=0),
    }
    return target_scale(declared, {n: v.tolist() for n, v in moments.items()}, numbers)


def encoded(scale: TargetStatistics, numbers: np.ndarray) -> np.ndarray:
    values, known = scaled(scale, tf.constant(numbers))
    assert known.numpy().all()
    return values.numpy()


def served(scale: TargetStatistics, outputs: np.ndarray) -> np.ndarray:
    numbers = predicted(scale, tf.constant(outputs, tf.float32))
    assert numbers.dtype == tf.float32
    return numbers.numpy()


training_rows = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 60), st.integers(1, 3)),
    elements=st.one_of(
        # TensorFlow takes a subnormal number for 0.
        st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
        st.floats(0, 10, width=32, allow_subnormal=False),
        st.sampled_from([0.0, 1.0, 7.0]),
    ),
)


@pytest.mark.parametrize("declared", SCALES)
@settings(max_examples=40, deadline=None)
@given(numbers=training_rows)
def test_what_is_learnt_of_a_training_row_is_served_as_its_number(declared, numbers) -> None:
    scale = scale_of(declared, numbers)
    learnt = encoded(scale, numbers)
    assert np.isfinite(learnt).all()
    allowed = 1e-4 * np.abs(numbers) + 1e-4 * np.abs(numbers).max() + 1e-6
    for back in (served(scale, learnt), in_unit(scale, learnt)):
        assert (np.abs(back - numbers) <= allowed).all()
    np.testing.assert_allclose(standardized(scale, numbers), learnt, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("declared", SCALES)
@settings(max_examples=20, deadline=None)
@given(numbers=training_rows)
def test_a_higher_output_is_never_served_as_a_lower_number(declared, numbers) -> None:
    scale = scale_of(declared, numbers)
    outputs = np.linspace(-9, 9, 50, dtype=np.float32)[:, np.newaxis]
    answers = served(scale, np.repeat(outputs, numbers.shape[1], axis=1))
    assert (np.diff(answers, axis=0) >= 0).all()


@pytest.mark.parametrize("declared", ["log", "quantile"])
@pytest.mark.parametrize("largest", [400.0, 3e38])
def test_a_wild_output_is_served_as_a_finite_number(declared, largest) -> None:
    numbers = np.append(SKEWED[:-1], [[largest], [-largest]], axis=0).astype(np.float32)
    answers = served(scale_of(declared, numbers), np.array([[-1e30], [1e30]], np.float32))
    assert np.isfinite(answers).all()
    assert answers[0, 0] < 0 < answers[1, 0]


def test_an_output_leaves_the_training_range_by_no_more_than_the_scale_allows() -> None:
    numbers = np.expm1(np.array([[0.0], [1.0], [4.0]])).astype(np.float32)
    wild = np.array([[-1e6], [1e6]], np.float32)
    # Logs from 0 to 4, and half of that on each side.
    expected = [-np.expm1(2.0), np.expm1(6.0)]
    assert served(scale_of("log", numbers), wild).ravel() == pytest.approx(expected, rel=1e-4)
    expected = [0.0, np.expm1(4.0)]
    assert served(scale_of("quantile", numbers), wild).ravel() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("declared", SCALES)
def test_a_truth_outside_of_the_training_range_keeps_its_number(declared) -> None:
    scale = scale_of(declared, SKEWED)
    others = np.array([[-50.0], [3_000.0]], np.float32)
    assert in_unit(scale, encoded(scale, others)) == pytest.approx(others, rel=1e-4)


@pytest.mark.parametrize("declared", SCALES)
def test_a_zero_stays_one_and_a_small_number_does_not_become_one(declared) -> None:
    numbers = np.array([[0.0], [0.1], [0.1], [0.7], [3.3]], np.float32)
    back = in_unit(scale_of(declared, numbers), encoded(scale_of(declared, numbers), numbers))
    assert (back == 0).ravel().tolist() == [True, False, False, False, False]


def test_the_score_of_a_rank_is_that_of_a_normal_number() -> None:
    numbers = (np.arange(1, 1001, dtype=np.float32) ** 2)[:, np.newaxis]
    learnt = encoded(scale_of("quantile", numbers), numbers)
    assert abs(learnt.mean()) < 0.01
    assert learnt.std() == pytest.approx(1, abs=0.02)
    # Ranks of 10 %, 50 % and 84.13 %.
    assert learnt[[99, 499, 841], 0] == pytest.approx([-1.282, 0.0, 1.0], abs=0.01)


def test_equal_numbers_have_the_score_of_their_middle_rank() -> None:
    numbers = np.repeat(np.array([[0.0], [10.0]], np.float32), 200, axis=0)
    scale = scale_of("quantile", numbers)
    # The lower and the upper half's middle ranks: 25 % and 75 %.
    assert encoded(scale, np.array([[0.0], [10.0]], np.float32)).ravel() == pytest.approx(
        [-0.674, 0.674], abs=0.02
    )
    assert served(scale, np.array([[0.0]], np.float32)) == pytest.approx(np.array([[5.0]]))


def test_every_position_of_a_series_has_a_scale_of_its_own() -> None:
    head = head_of(NumericTarget(kind="numeric", length=2))
    numbers = np.concatenate([SKEWED, 1000 * SKEWED + 7], axis=1)
    series = np.stack([numbers, numbers[::-1]], axis=1)  # [rows, 2 steps, 2 channels]
    for declared in ("log", "quantile"):
        scale = scale_of(declared, numbers)
        learnt = encoded(scale, series)
        answers = head.serve("y", scale, tf.constant(learnt))["y"].numpy()
        np.testing.assert_allclose(answers, series, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(head.in_unit(scale, learnt), series, rtol=1e-4, atol=1e-2)


def test_the_steepest_step_is_that_between_the_most_distant_knots() -> None:
    scale = TargetStatistics(
        scale=(2.0,), curve="quantile", knots=((0.0, 1.0, 9.0, 9.0),), scores=((-1.0, 0, 0.5, 0.5),)
    )
    assert scale.steepest() == (16.0,)
    assert scale.model_copy(update={"curve": "log"}).steepest() == (2.0,)


def test_statistics_of_an_earlier_release_are_linear() -> None:
    before = '{"labels": [], "counts": [], "mean": [50.0], "scale": [10.0]}'
    scale = TargetStatistics.model_validate_json(before)
    assert served(scale, np.array([[1.0]], np.float32)).tolist() == [[60.0]]
    assert in_unit(scale, np.array([1.0])).tolist() == [60.0]
