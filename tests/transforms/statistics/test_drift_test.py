from __future__ import annotations

import numpy as np
import pytest

from transforms.statistics.drift_distance import Outcomes
from transforms.statistics.drift_test import alarms, p_value

REFERENCE_ROWS, ROWS, FEATURES = 4_096, 500, 20


def _numbers(values, edges):
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return Outcomes(len(values), 0, counts.astype(float))


def _day(random, shift=0.0):
    """Returns the p-values of a day on which the first of all features has moved."""
    p_values = {}
    for number in range(FEATURES):
        reference = random.normal(size=REFERENCE_ROWS)
        edges = np.quantile(reference, np.linspace(0.1, 0.9, 9))
        today = random.normal(size=ROWS) + (shift if number == 0 else 0.0)
        p_values[f"f{number}"] = p_value(
            _numbers(reference, edges), _numbers(today, edges), ordered=True
        )
    return p_values


def test_a_quiet_day_is_an_alarm_at_most_once_in_a_hundred():
    random = np.random.default_rng(0)
    quiet = sum(bool(alarms(_day(random), chance=0.01)) for _ in range(300))
    assert quiet <= 6  # 3 are expected at most; 7 or more would be as rare as 1 in 30


def test_a_shift_of_three_tenths_of_a_deviation_is_found_in_five_hundred_rows():
    random = np.random.default_rng(1)
    found = [alarms(_day(random, shift=0.3), chance=0.01) for _ in range(50)]
    assert sum("f0" in names for names in found) >= 49


def _terms(*counts, missing=0, rows=None):
    return Outcomes(rows or sum(counts) + missing, missing, np.array(counts, float))


@pytest.mark.parametrize(
    ("today", "differs"),
    [
        (_terms(252, 248, 0), False),
        (_terms(300, 200, 0), True),
        (_terms(240, 240, 20), True),  # a value that was never seen
        (_terms(245, 235, 0, missing=20), True),
        (_terms(2, 0, 0), False),
        (_terms(0, 0, 0), False),
        (_terms(0, 0, 0, missing=500), True),
    ],
)
def test_labels_differ_by_their_shares_by_new_ones_and_by_missing_ones(today, differs):
    assert (p_value(_terms(2000, 2000, 0), today, ordered=False) < 1e-3) == differs


def test_the_words_of_one_text_are_no_more_than_one_draw():
    reference, today = _terms(20_000, 20_000, rows=4_000), _terms(2_600, 2_400, rows=500)
    assert p_value(reference, today, ordered=False) > 0.01


def test_one_chance_is_shared_out_among_all_that_is_tested():
    p_values = {"a": 0.004, "b": 0.0001, "c": 0.006, "d": 0.5}
    assert alarms(p_values, chance=0.01) == ["b"]
    assert alarms({"a": 0.004, "b": 0.006}, chance=0.01) == ["a", "b"]
