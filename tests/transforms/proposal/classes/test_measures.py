"""What stands for a missing value is no value of a column."""

from __future__ import annotations

import pyarrow as pa

from transforms.proposal.classes.measures import measures
from transforms.proposal.classes.profile import profile


def test_what_a_statistics_program_writes_for_a_missing_value_is_no_value():
    answers = pa.array(["#NULL!", "yes", None, "yes"] * 20, pa.large_string())
    measured = measures(profile("answer", answers))
    assert (measured["stand_ins"], measured["constant"], measured["few_distinct"]) == (1, 1, 1)


def test_measures_fit_a_threshold_of_two_bytes():
    numbers = pa.array(["1e99", "-1e99", "5"] * 9, pa.large_string())
    assert all(abs(value) < 65_504 for value in measures(profile("x", numbers)).values())
