from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.gate import decide
from transforms.contract.model import GateSpec

AUC = "test_sold_auc"
VALUES = st.floats(0.01, 1.0)


def gate(metric=AUC, **fields):
    return GateSpec(metric=metric, **fields)


def test_a_limit_that_is_met_passes_and_says_so():
    decision = decide([gate(at_least=0.7)], {AUC: 0.8}, None)
    assert decision.passed
    assert decision.reasons == (
        "test_sold_auc 0.8 is at least 0.7.",
        "test_sold_auc 0.8: there is no champion to compare with.",
    )


@pytest.mark.parametrize(
    ("spec", "value", "reason"),
    [
        (gate(at_least=0.9), 0.8, "test_sold_auc 0.8 is not at least 0.9."),
        (gate("test_cost_mae", at_most=2.0), 3.0, "test_cost_mae 3 is not at most 2."),
    ],
)
def test_a_limit_that_is_missed_refuses(spec, value, reason):
    decision = decide([spec], {spec.metric: value}, None)
    assert not decision.passed
    assert decision.reasons[0] == reason


def test_worse_than_the_champion_by_more_than_the_tolerance_refuses():
    decision = decide([gate(tolerance=0.02)], {AUC: 0.75}, {AUC: 0.8})
    assert not decision.passed
    assert decision.reasons == (
        "test_sold_auc 0.75 is worse than the champion's 0.8 by 0.05; 0.016 is allowed.",
    )


def test_for_an_error_lower_is_better():
    mae = "test_cost_mae"
    assert decide([gate(mae)], {mae: 5.0}, {mae: 9.0}).passed
    assert not decide([gate(mae)], {mae: 9.0}, {mae: 5.0}).passed


@given(VALUES, VALUES, st.floats(0, 0.5))
def test_a_better_model_always_passes_and_a_much_worse_one_never(value, champion, tolerance):
    decision = decide([gate(tolerance=tolerance)], {AUC: value}, {AUC: champion})
    assert decision.passed == (champion - value <= tolerance * champion or value >= champion)


@given(VALUES)
def test_the_same_model_again_passes_without_tolerance(value):
    assert decide([gate(tolerance=0.0)], {AUC: value}, {AUC: value}).passed


@pytest.mark.parametrize("metrics", [{}, {AUC: float("nan")}])
def test_a_metric_that_was_not_measured_refuses(metrics):
    decision = decide([gate()], metrics, None)
    assert not decision.passed
    assert "was not measured" in decision.reasons[0]


def test_a_champion_without_the_metric_is_no_obstacle():
    decision = decide([gate()], {AUC: 0.6}, {"test_loss": 1.0})
    assert decision.passed
    assert "the champion has no such metric" in decision.reasons[0]


def test_a_champion_that_could_not_be_scored_refuses_and_says_what_to_do():
    problem = "it takes the column 'area', which no feature reads"
    decision = decide([gate(at_least=0.5)], {AUC: 0.9}, None, problem)
    assert not decision.passed
    assert problem in decision.reasons[-1]
    assert "set gate.compare: false" in decision.reasons[-1]


@pytest.mark.parametrize(("champion", "problem"), [(None, "why"), ({AUC: 0.99}, None)])
def test_without_comparing_only_the_limits_count(champion, problem):
    lenient, strict = gate(compare=False, at_least=0.5), gate(compare=False, at_least=0.7)
    assert decide([lenient], {AUC: 0.6}, champion, problem).passed
    assert not decide([strict], {AUC: 0.6}, champion, problem).passed


def test_every_gate_has_to_pass():
    gates = [gate(at_least=0.5), gate("test_loss", at_most=0.1)]
    decision = decide(gates, {AUC: 0.9, "test_loss": 1.0}, None)
    assert not decision.passed
    assert len(decision.reasons) == 4


def test_gate_and_registry_import_no_tensorflow():
    code = "import sys, trainer.gate, trainer.registry; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
