from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.registry.gate import GateDecision, decide
from transforms.contract.declaration.judgement.gate import GateSpec
from transforms.contract.steps.evaluation import (
    LEVELS,
    EvaluationResult,
    MeasuredRows,
    MeasuredSlice,
    Resampled,
)

AUC = "test_sold_auc"
VALUES = st.floats(0.01, 1.0)


def gate(metric=AUC, **fields):
    return GateSpec(metric=metric, **fields)


def judged(gates, metrics, champion=None, problem=None, constant=None) -> GateDecision:
    return decide(gates, metrics, champion, problem, constant_metrics=constant or {})


def test_a_limit_that_is_met_passes_and_says_so():
    decision = judged([gate(at_least=0.7)], {AUC: 0.8}, constant={AUC: 0.5})
    assert decision.passed
    assert decision.reasons == (
        "test_sold_auc 0.8 is at least 0.7.",
        "test_sold_auc 0.8 is better than the constant answer's 0.5.",
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
    decision = judged([spec], {spec.metric: value})
    assert not decision.passed
    assert decision.reasons[0] == reason


ACCURACY = "test_group_accuracy"


@pytest.mark.parametrize(
    ("name", "value", "constant"),
    [
        (ACCURACY, 0.3, 0.39),
        (ACCURACY, 0.39, 0.39),  # as it is if the model only answers the larger class
        ("test_cost_mae", 5.0, 4.0),
        ("test_loss", 1.0, 1.0),
    ],
)
@pytest.mark.parametrize("fields", [{}, {"compare": False}, {"tolerance": 0.5}])
@pytest.mark.parametrize("champion", [None, {ACCURACY: 0.1, "test_cost_mae": 9.0}])
def test_a_model_no_better_than_the_constant_answer_is_refused(
    name, value, constant, fields, champion
):
    decision = judged([gate(name, **fields)], {name: value}, champion, constant={name: constant})
    assert not decision.passed
    assert decision.reasons[0] == (
        f"{name} {value:.4g} is not better than the constant answer's {constant:.4g}."
    )


def test_a_metric_that_the_constant_answer_lacks_is_compared_with_nothing():
    decision = judged([gate()], {AUC: 0.4}, constant={"test_loss": 1.0})
    assert decision.passed
    assert decision.reasons[0] == "test_sold_auc 0.4: the constant answer has no such metric."


def test_a_recall_is_compared_unless_the_constant_answer_is_yes():
    recall = "test_sold_recall"
    assert judged([gate(recall)], {recall: 0.8}, constant={recall: 1.0}).passed
    assert not judged([gate(recall)], {recall: 0.0}, constant={recall: 0.0}).passed


def test_worse_than_the_champion_by_more_than_the_tolerance_refuses():
    decision = judged([gate(tolerance=0.02)], {AUC: 0.75}, {AUC: 0.8})
    assert not decision.passed
    assert decision.reasons[0] == (
        "test_sold_auc 0.75 is worse than the champion's 0.8 by 0.05; 0.016 is allowed."
    )


def test_for_an_error_lower_is_better():
    mae = "test_cost_mae"
    assert judged([gate(mae)], {mae: 5.0}, {mae: 9.0}).passed
    assert not judged([gate(mae)], {mae: 9.0}, {mae: 5.0}).passed


@given(VALUES, VALUES, st.floats(0, 0.5))
def test_a_better_model_always_passes_and_a_much_worse_one_never(value, champion, tolerance):
    decision = judged([gate(tolerance=tolerance)], {AUC: value}, {AUC: champion})
    assert decision.passed == (champion - value <= tolerance * champion or value >= champion)


@given(VALUES)
def test_the_same_model_again_passes_without_tolerance(value):
    assert judged([gate(tolerance=0.0)], {AUC: value}, {AUC: value}).passed


@pytest.mark.parametrize("metrics", [{}, {AUC: float("nan")}])
def test_a_metric_that_was_not_measured_refuses(metrics):
    decision = judged([gate()], metrics)
    assert not decision.passed
    assert "was not measured" in decision.reasons[0]


def test_a_champion_without_the_metric_is_no_obstacle():
    decision = judged([gate()], {AUC: 0.6}, {"test_loss": 1.0})
    assert decision.passed
    assert "the champion has no such metric" in decision.reasons[-1]


def test_a_champion_that_could_not_be_scored_refuses_and_says_what_to_do():
    problem = "it takes the column 'area', which no feature reads"
    decision = judged([gate(at_least=0.5)], {AUC: 0.9}, problem=problem)
    assert not decision.passed
    assert problem in decision.reasons[0]
    assert "set gate.compare: false" in decision.reasons[0]


@pytest.mark.parametrize(("champion", "problem"), [(None, "why"), ({AUC: 0.99}, None)])
def test_without_comparing_only_the_limits_count(champion, problem):
    lenient, strict = gate(compare=False, at_least=0.5), gate(compare=False, at_least=0.7)
    assert judged([lenient], {AUC: 0.6}, champion, problem).passed
    assert not judged([strict], {AUC: 0.6}, champion, problem).passed


def test_every_gate_has_to_pass():
    gates = [gate(at_least=0.5), gate("test_loss", at_most=0.1)]
    decision = judged(gates, {AUC: 0.9, "test_loss": 1.0})
    assert not decision.passed
    assert len(decision.reasons) == 6
    assert decision.reasons[0] == "test_loss 1 is not at most 0.1."


def test_gate_and_registry_import_no_tensorflow():
    code = (
        "import sys, trainer.registry.gate, trainer.registry.registry\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def around(value, spread=0.05):
    """Returns a bootstrap whose replicates lie evenly within a spread of a value."""
    return Resampled(quantiles=tuple(value + spread * (2 * level - 1) for level in LEVELS))


def beside(gates, value, champion, *, slices=(), spread=0.05):
    """Judges by an evaluation of a model and a champion."""
    test = MeasuredRows(
        rows=300,
        metrics={AUC: value},
        champion={AUC: champion},
        resampled={AUC: around(value, spread)},
        differences={AUC: around(value - champion, spread)},
    )
    evaluation = EvaluationResult(metrics={AUC: value}, rows=300, test=test, slices=slices)
    metrics, own = {AUC: value}, {AUC: champion}
    return decide(gates, metrics, own, constant_metrics={AUC: 0.5}, evaluation=evaluation)


def test_with_confidence_a_limit_has_to_hold_for_what_chance_leaves_of_the_value():
    assert beside([gate(at_least=0.78)], 0.8, 0.8).passed
    refused = beside([gate(at_least=0.78, confidence=0.95, tolerance=0.1)], 0.8, 0.8)
    assert refused.reasons[0] == (
        "test_sold_auc 0.8 is not at least 0.78 with 95 % confidence, with which it is 0.755."
    )
    assert beside([gate(at_least=0.75, confidence=0.95, tolerance=0.1)], 0.8, 0.8).passed


def test_with_confidence_a_model_has_to_be_surely_no_worse_than_the_champion():
    spec = gate(confidence=0.95, tolerance=0.02)
    refused = beside([spec], 0.8, 0.8)
    assert not refused.passed, "as good on these rows, but perhaps by chance"
    assert refused.reasons[0] == (
        "test_sold_auc 0.8 is with 95 % confidence at most 0.045 worse than the champion's 0.8 on "
        "the same rows; 0.016 is allowed."
    )
    assert beside([spec], 0.8, 0.8, spread=0.01).passed


def test_confidence_without_an_interval_refuses():
    decision = decide([gate(confidence=0.95, at_least=0.5)], {AUC: 0.8}, None, constant_metrics={})
    assert decision.reasons[0] == "test_sold_auc 0.8 has no interval on these rows."


def part(label, value, champion, rows=50):
    return MeasuredSlice(
        feature="city",
        label=label,
        rows=rows,
        metrics={AUC: value},
        champion={AUC: champion},
        resampled={AUC: around(value)},
        differences={AUC: around(value - champion)},
    )


def test_the_worst_slice_decides_and_is_named():
    slices = (part("is Ulm", 0.9, 0.9), part("is Bonn", 0.6, 0.7), part("is Köln", 0.65, 0.6))
    decision = beside([gate(slice="worst", at_least=0.62)], 0.8, 0.8, slices=slices)
    assert decision.reasons == (
        "test_sold_auc 0.6 for city is Bonn (50 rows), the worst slice, is not at least 0.62.",
        "test_sold_auc 0.6 for city is Bonn (50 rows), the worst slice, is worse than the "
        "champion's 0.7 by 0.1; 0.014 is allowed.",
        "test_sold_auc 0.8 is better than the constant answer's 0.5.",
    )
    better = (part("is Ulm", 0.9, 0.9), part("is Bonn", 0.7, 0.7))
    assert beside([gate(slice="worst", at_least=0.62)], 0.8, 0.8, slices=better).passed
    assert not beside([gate(slice="worst")], 0.8, 0.8).passed, "no slice is large enough"


def test_a_gate_of_slices_refuses_what_is_no_better_than_the_constant_answer_either():
    slices = (part("is Ulm", 0.9, 0.9),)
    decision = beside([gate(slice="worst", at_least=0.62)], 0.5, 0.5, slices=slices)
    assert not decision.passed
    assert decision.reasons[0] == (
        "test_sold_auc 0.5 is not better than the constant answer's 0.5."
    )
