from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.statistics.drift_distance import Outcomes, by_chance, jensen_shannon

COUNTS = st.lists(st.integers(0, 50), min_size=3, max_size=3)


def _sample(counts: list[int], missing: int = 0) -> Outcomes:
    return Outcomes(sum(counts) + missing, missing, np.array(counts, float))


def _divergence(left: Outcomes, right: Outcomes) -> float:
    return float(jensen_shannon(left.shares(), right.shares()))


def test_missing_is_an_outcome_beside_the_others():
    assert _sample([3, 3], missing=2).shares().tolist() == [0.25, 0.375, 0.375]
    texts = Outcomes(rows=4, missing=1, counts=np.array([6.0, 2.0]))  # eight words in three texts
    assert texts.shares().tolist() == [0.25, 0.5625, 0.1875]


def test_divergence_of_literal_distributions():
    assert _divergence(_sample([5, 5]), _sample([50, 50])) == 0.0
    assert _divergence(_sample([5, 0]), _sample([0, 9])) == 1.0
    half = (math.log2(1 / 0.75) + 0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(2)) / 2
    assert _divergence(_sample([4, 0]), _sample([2, 2])) == pytest.approx(half)
    assert _divergence(_sample([4]), _sample([0], missing=4)) == 1.0


@given(COUNTS, COUNTS, st.integers(0, 9))
def test_divergence_lies_between_0_and_1_and_has_no_direction(left, right, missing):
    one, other = _sample(left, missing=1), _sample(right, missing)
    divergence = _divergence(one, other)
    assert 0.0 <= divergence <= 1.0
    assert divergence == pytest.approx(_divergence(other, one))
    assert _divergence(one, one) == 0.0


@pytest.mark.parametrize("outcomes", [5, 2_000])
@pytest.mark.parametrize("rows", [20, 300, 5_000])
def test_chance_explains_what_is_between_equal_distributions(rows, outcomes):
    shares = 1 / np.arange(1, outcomes + 1)
    shares /= shares.sum()
    distances = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        one, other = (_sample(random.multinomial(n, shares).tolist()) for n in (10_000, rows))
        unexplained = _divergence(one, other) - by_chance(one, other)
        distances.append(math.sqrt(max(0.0, unexplained)))
    assert max(distances) < 0.1, "the threshold by default"


def test_with_few_rows_chance_explains_much_and_with_many_next_to_nothing():
    frozen = _sample([1_000] * 10)
    distances = [by_chance(frozen, _sample([n] * 10)) for n in (1, 10, 100, 1_000)]
    assert distances == sorted(distances, reverse=True)
    assert math.sqrt(distances[0]) > 0.3
    assert math.sqrt(distances[-1]) < 0.06


def test_chance_does_not_explain_what_is_really_another_distribution():
    frozen, moved = _sample([5_000, 5_000]), _sample([10, 190])
    assert _divergence(frozen, moved) - by_chance(frozen, moved) > 0.1
    gone = _sample([100, 100], missing=200)
    assert _divergence(frozen, gone) - by_chance(frozen, gone) > 0.1


def test_the_terms_of_a_text_are_one_draw():
    frozen = _sample([500] * 20)
    words = Outcomes(rows=20, missing=0, counts=np.full(20, 30.0))
    assert by_chance(frozen, words) == pytest.approx(by_chance(frozen, _sample([1] * 20)), rel=0.2)


def test_a_billion_rows_can_be_dealt_out():
    many = _sample([10**9, 10**9])
    assert by_chance(many, _sample([10, 10])) < 0.5


def test_samples_of_nothing_but_missing_values_are_alike():
    assert by_chance(_sample([0, 0], missing=5), _sample([0, 0], missing=3)) == 0.0
