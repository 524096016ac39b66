from __future__ import annotations

import pytest

from flows.steps.drift import drift_in_words
from transforms.contract.declaration.transform import DriftSpec
from transforms.contract.workspace.drift import Distance, JudgedDrift, MeasuredDrift, judge


def _judged(**distances: float) -> JudgedDrift:
    features = {n: Distance(distance=d, measured=d, chance=0.0) for n, d in distances.items()}
    measured = MeasuredDrift(transform="t", partitions={"day=2": "f"}, rows=3, features=features)
    return judge(measured, DriftSpec(features={"price": 0.5}))


@pytest.mark.parametrize(
    ("distances", "words"),
    [
        ({"area": 0.021, "price": 0.03}, "no refit, drift 0.02 (area) below 0.1"),
        ({"area": 0.2, "price": 0.4}, "refit, drift 0.20 of area above 0.1"),
        ({"area": 0.2, "price": 0.8, "city": 0.9}, "refit, drift 0.90 of city above 0.1, and of "
                                                   "2 more"),
        ({}, "no refit, as no statistics of the new partitions can be compared"),
    ],
)  # fmt: skip
def test_what_drift_decided_is_said_in_a_few_words(distances, words):
    assert drift_in_words(_judged(**distances)) == words
