from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.world import pipeline_of, training_with
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import export
from trainer.export.probabilities import Adjustment, adjusted, adjusted_answer, decisions
from trainer.export.probability_fitting import (
    best_threshold,
    fitted,
    isotonic,
    temperature,
    tempered,
)
from trainer.export.serving import load
from trainer.network.heads import head_of
from trainer.network.members import Answer
from trainer.training.training import train
from transforms.contract.columns.targets import Binary, Multiclass

RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(0, 2, 4_000)
YES = (RANDOM.random(4_000) < 1 / (1 + np.exp(-LOGITS))).astype(np.float32)
TOO_SURE = (1 / (1 + np.exp(-3 * LOGITS))).astype(np.float32)


def error_of(spec, truth, prediction):
    score = head_of(spec).metrics["calibration_error"](spec)
    score.update(truth, np.asarray(prediction, np.float32))
    return score.result()


def test_the_temperature_is_what_logits_were_multiplied_by():
    assert temperature(YES, TOO_SURE) == pytest.approx(3, abs=0.2)
    classes = np.stack([LOGITS, -LOGITS, np.zeros(4_000)], 1)
    shares = np.exp(classes) / np.exp(classes).sum(1, keepdims=True)
    truth = (RANDOM.random((4_000, 1)) > shares.cumsum(1)).sum(1)
    assert temperature(truth, tempered(shares, 0.5)) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("calibration", ["temperature", "isotonic"])
def test_probabilities_come_true_as_often_as_they_say_after_it(calibration):
    spec = Binary(kind="binary", calibration=calibration)
    adjustment = fitted(spec, YES, TOO_SURE)
    made = adjusted({"sold": adjustment}, "sold", tf.constant(TOO_SURE[:, np.newaxis]))
    before, after = (error_of(spec, YES, p) for p in (TOO_SURE, made.numpy()[:, 0]))
    assert before > 0.1
    assert after < 0.02


def test_classes_that_are_calibrated_each_on_its_own_still_add_up_to_1():
    spec = Multiclass(kind="multiclass", calibration="isotonic")
    probabilities = np.stack([TOO_SURE, 1 - TOO_SURE], 1) * 0.9
    probabilities = np.concatenate([probabilities, np.full((4_000, 1), 0.1)], 1).astype(np.float32)
    truth = 1 - YES.astype(np.int64)
    adjustment = fitted(spec, truth, probabilities)
    made = adjusted({"group": adjustment}, "group", tf.constant(probabilities)).numpy()
    assert made.sum(axis=1) == pytest.approx(np.ones(4_000), abs=1e-5)
    assert error_of(spec, truth, made) < error_of(spec, truth, probabilities) / 2


def test_isotonic_pools_what_does_not_rise():
    knots = isotonic(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4]))
    assert knots == ((0.1, 0.0), (0.2, 0.5), (0.3, 0.5), (0.4, 1.0))
    # A probability between two knots goes straight, and beyond them nothing changes.
    made = adjusted(
        {"sold": Adjustment(curves=(knots,))}, "sold", tf.constant([[0.0], [0.15], [0.25], [0.9]])
    )
    assert made.numpy()[:, 0] == pytest.approx([0.0, 0.25, 0.5, 1.0])


@pytest.mark.parametrize(
    ("metric", "threshold"), [("f1", 0.35), ("accuracy", 0.65), ("balanced_accuracy", 0.65)]
)
def test_a_threshold_is_the_best_one_halfway_to_the_next_probability(metric, threshold):
    truth = np.array([0, 0, 1, 0, 0, 1, 1], bool)
    prediction = np.array([0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9])
    if metric == "f1":
        truth = np.array([0, 0, 1, 1, 0, 1, 1], bool)
    assert best_threshold(metric, truth, prediction) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("metric", "truth", "prediction", "threshold"),
    [
        ("accuracy", [0, 0, 1], [0.8, 0.8, 0.6], 0.9),  # nobody is: any yes is wrong more often
        ("accuracy", [0, 0, 1], [1.0, 1.0, 0.6], 0.3),  # which no threshold can say beside a 1
        ("accuracy", [1, 1, 1], [0.4, 0.6, 0.5], 0.2),
        ("f1", [1, 1, 1], [0.0, 0.0, 0.6], 0.3),  # nor can any say yes to a 0
        ("f1", [0, 0], [0.4, 0.6], 0.8),
    ],
)
def test_a_threshold_may_accept_nothing_and_is_never_0(metric, truth, prediction, threshold):
    chosen = best_threshold(metric, np.array(truth, bool), np.array(prediction))
    assert chosen == pytest.approx(threshold)


def test_a_threshold_between_neighbouring_numbers_accepts_the_upper_one_alone():
    upper = np.float32(0.5)
    lower = np.nextafter(upper, np.float32(0))
    chosen = best_threshold("accuracy", np.array([True, False]), np.array([upper, lower]))
    served = {"sold": tf.constant([upper, lower])}
    made = decisions({"sold": Adjustment(threshold=chosen)}, served)
    assert made["sold__decision"].numpy().tolist() == [1, 0]


def test_a_temperature_of_1_changes_no_bit():
    output = tf.constant([[0.0], [1e-9], [0.3], [1.0]])
    made = adjusted({"sold": Adjustment(threshold=0.5)}, "sold", output)
    assert made.numpy().tolist() == output.numpy().tolist()


def test_members_lie_apart_in_what_is_served():
    curve = ((0.0, 0.0), (0.4, 0.2), (1.0, 1.0))
    members = ({"sold": tf.constant([[0.2]])}, {"sold": tf.constant([[0.4]])})
    network = Answer({"sold": tf.constant([[0.3]])}, members)
    answered = adjusted_answer({"sold": Adjustment(curves=(curve,))}, network)
    assert answered.outputs["sold"].numpy() == pytest.approx(0.15)
    assert [own["sold"].numpy().item() for own in answered.members] == pytest.approx([0.1, 0.2])


def test_a_decision_is_a_yes_from_the_threshold_on():
    served = {"sold": tf.constant([0.2, 0.3, 0.7])}
    made = decisions({"sold": Adjustment(threshold=0.3), "other": Adjustment()}, served)
    assert {name: own.numpy().tolist() for name, own in made.items()} == {
        "sold__decision": [0, 1, 1]
    }


def test_what_is_adjusted_is_in_the_export_and_judged_as_it_answers(trainer_world):
    targets = {
        "sold": {
            "kind": "binary",
            "calibration": "temperature",
            "threshold": "f1",
            "spread": True,
        },
        "group": {"kind": "multiclass", "missing": "mask", "calibration": "isotonic"},
        "cost": {"kind": "numeric"},
    }
    pipeline = pipeline_of(targets=targets, training=training_with(members=2))
    job = trainer_world.job("adjusted", pipeline)
    train(job)
    export(job)
    result = evaluate(job)
    assert result.parity < 1e-4, "the export adjusts as the evaluation does"
    scorer = load(f"{job.run_folder}/export")
    answer = scorer.score({"color": ["red", "green"], "sizes": [[1.0, 2.0], [0.0, 1.0]]})
    assert answer["sold__decision"].dtype == np.uint8
    assert answer["sold__spread"].shape == (2,)
    assert answer["group__probabilities"].sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_what_is_not_asked_for_changes_no_fingerprint():
    before = pipeline_of()
    plain = before.targets["sold"].model_dump()
    assert not {"calibration", "threshold"} & set(plain)
    asked = {"sold": {"kind": "binary", "threshold": 0.3}}
    assert pipeline_of(targets=asked).data_fingerprint() == (
        pipeline_of(targets={"sold": {"kind": "binary"}}).data_fingerprint()
    )
