from __future__ import annotations

import pytest

from tests.trainer.world import pipeline_of
from trainer.evaluation.intervals import few_rows, wilson


def test_the_interval_is_wilsons():
    # Brown, Cai and DasGupta, "Interval Estimation for a Binomial Proportion", 2001.
    assert wilson(5 / 7, 7) == pytest.approx((0.359, 0.918), abs=1e-3)
    low, high = wilson(1.0, 10)
    assert low == pytest.approx(0.722, abs=1e-3)
    assert high == pytest.approx(1.0)


def test_few_validation_rows_are_told_with_what_an_accuracy_on_them_is_worth():
    metrics = {"validation_sold_auc": 0.9, "validation_sold_accuracy": 5 / 7}
    assert few_rows(pipeline_of(), metrics, 7) == (
        "Validation has 7 rows: a validation_sold_accuracy of 0.71 on them lies between 0.36 and "
        "0.92 with 95 % confidence."
    )
    sentence = "Validation has 7 rows: too few to choose an epoch or a model by."
    assert few_rows(pipeline_of(), {"validation_cost_mae": 3.0}, 7) == sentence


@pytest.mark.parametrize("rows", [0, 100])
def test_enough_rows_and_none_at_all_are_not_told(rows):
    assert few_rows(pipeline_of(), {"validation_sold_accuracy": 0.7}, rows) is None
