from __future__ import annotations

from typing import get_args

import pytest

from transforms.contract.columns.targets import (
    BinaryMask,
    BinaryMetric,
    ClassMask,
    ClassMetric,
    ContinuousImage,
    NumberMetric,
)
from transforms.contract.declaration.judgement.metrics import METRICS, metric_of


def test_every_metric_that_can_be_declared_has_a_direction() -> None:
    declared = {*get_args(BinaryMetric), *get_args(ClassMetric), *get_args(NumberMetric)}
    for kind in (BinaryMask, ClassMask, ContinuousImage):
        declared |= set(kind.model_fields["metrics"].default)
    assert set(METRICS) == declared | {"loss", "within_spread"}


@pytest.mark.parametrize(
    ("name", "lower", "share"),
    [
        ("test_loss", True, False),
        ("test_sold_log_loss", True, False),
        ("test_price_median_absolute_error", True, False),
        ("test_price_mape", True, False),
        ("test_price_r2", False, False),
        ("test_sold_average_precision", False, True),
        ("validation_kind_of_flat_top_5_accuracy", False, True),
        ("validation_kind_f1", False, True),
    ],
)
def test_a_metric_is_known_by_the_end_of_its_name(name: str, lower: bool, share: bool) -> None:
    metric = metric_of(name)
    assert (metric.lower_is_better, metric.is_share) == (lower, share)


def test_a_name_that_ends_in_no_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="no metric is called 'test_price_median'"):
        metric_of("test_price_median")
