"""A column that alone predicts a target is named; one that only helps is not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from transforms.proposal.leaks import leak, leaking_sum
from transforms.proposal.sampled_column import SampledColumn
from transforms.proposal.target_choice import choose_target

_RANDOM = np.random.default_rng(0)
_SCORES = _RANDOM.normal(size=400)
_NOISE = _RANDOM.normal(size=400)
_COLORS = ["red", "green", "blue"]


def _leak(feature, target) -> str | None:
    column = SampledColumn("target", pa.array(target))
    return leak(SampledColumn("feature", pa.array(feature)), column, choose_target(column))


def test_a_number_that_orders_a_yes_or_no_is_a_leak():
    assert _leak(-_SCORES, _SCORES > 0) == "AUC 1.000"
    assert _leak(_SCORES + 0.5 * _NOISE, _SCORES > 0) is None


def test_a_code_of_the_class_is_a_leak():
    classes = [_COLORS[i % 3] for i in range(400)]
    assert _leak([f"code {name}" for name in classes], classes) == "100.0% right"
    assert _leak([_COLORS[i % 2] for i in range(400)], classes) is None


def test_another_unit_of_a_number_is_a_leak():
    assert _leak(_SCORES * 1.1 + 3, _SCORES) == "R2 1.0000"
    assert _leak(_SCORES + _NOISE, _SCORES) is None


def test_the_logarithm_of_a_number_is_a_leak():
    prices = np.exp(_SCORES)
    assert _leak(_SCORES, prices) == "R2 1.0000 of the ranks"
    assert _leak(_SCORES + 0.1 * _NOISE, prices) is None


def _sum(target, **features) -> tuple[str, ...]:
    column = SampledColumn("target", pa.array(target))
    named = [SampledColumn(name, pa.array(values)) for name, values in features.items()]
    return leaking_sum(named, column, choose_target(column))


def test_numbers_that_add_up_to_the_target_are_a_leak_together():
    one, two, other = _SCORES, 3 * _NOISE, np.roll(_NOISE, 7)
    assert _sum(one + two, one=one, two=two, other=other) == ("one", "two")
    assert _sum(2.5 * one - two, one=one, other=other, two=two) == ("one", "two")
    assert _sum(one + two + 0.1 * other, one=one, two=two) == ()
    assert _sum(one * two, one=one, two=two) == ()


def test_a_column_with_gaps_is_no_part_of_a_sum():
    gaps = [None, *_NOISE[1:]]
    assert _sum(_SCORES + _NOISE, one=_SCORES, two=gaps) == ()
    assert _sum([None, *(_SCORES + _NOISE)[1:]], one=_SCORES, two=gaps) == ("one", "two")


def test_few_rows_prove_no_leak():
    assert _leak(_SCORES[:50], _SCORES[:50] > 0) is None


def test_a_rare_class_that_a_constant_column_misses_is_no_leak():
    rare = [i % 40 == 0 for i in range(400)]
    assert _leak(["same"] * 400, rare) is None
