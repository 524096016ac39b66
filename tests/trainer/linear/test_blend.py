from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.linear.blend import (
    SHARES,
    LinearBlend,
    LinearSpec,
    LinearTarget,
    blended,
    losses_of_shares,
    pooled,
)
from trainer.linear.design import columns_of
from trainer.linear.regression import LinearModel
from trainer.network.members import answer, average
from transforms.contract.workspace.manifest import StoredFeature

AREA = StoredFeature(name="area", role="feature", kind="numeric", dtype="float32", shape=())


def a_doubling(target: str = "price", feature: StoredFeature = AREA) -> LinearBlend:
    """Returns a linear model whose answer is the feature's double and 1 more."""
    spec = LinearTarget(link="identity", classes=1, penalty=1.0)
    blend = LinearBlend(LinearSpec(features=columns_of([feature]), targets={target: spec}))
    twice = LinearModel("identity", np.ones(1), np.array([[2.0]]), np.array([3.0]), penalty=1.0)
    blend.take({target: twice})
    return blend


@pytest.fixture
def doubling() -> LinearBlend:
    return a_doubling()


def a_network(answer: float, *targets: str, feature: str = "area") -> keras.Model:
    """Returns a network that always answers the same."""
    area = keras.Input((), name=feature)
    x = keras.layers.Reshape((1,))(area)
    always = {
        "kernel_initializer": "zeros",
        "bias_initializer": keras.initializers.Constant(answer),
    }
    heads = {name: keras.layers.Dense(1, name=name, **always)(x) for name in targets}
    return keras.Model({feature: area}, heads, name="braid")


def test_an_answer_has_both_in_their_shares(doubling):
    doubling.set_shares({"price": 0.25})
    network = blended(a_network(100.0, "price"), doubling)
    answers = network({"area": np.float32([5.0, 7.0])})
    assert answers["price"].numpy().tolist() == [[75 + 11 / 4], [75 + 15 / 4]]
    assert doubling.shares() == {"price": 0.25}


@pytest.mark.parametrize(("feature", "target"), [("linear", "price"), ("area", "linear")])
def test_a_column_may_be_named_linear(feature, target):
    blend = a_doubling(target, AREA.model_copy(update={"name": feature}))
    blend.set_shares({target: 0.25})
    network = blended(a_network(100.0, target, feature=feature), blend)
    inputs = {feature: tf.constant([5.0, 7.0])}
    for with_members in (False, True):
        answers = answer(network, inputs, with_members=with_members)
        assert answers.outputs[target].numpy().tolist() == [[75 + 11 / 4], [75 + 15 / 4]]


def a_network_of_members(link: str) -> keras.Model:
    """Returns a network of two members that answer 0.2 and 0.6, or 20 and 60."""
    answers = (20.0, 60.0) if link == "identity" else (0.2, 0.6)
    return average([a_network(answer, "price") for answer in answers])


@pytest.mark.parametrize(
    ("link", "share", "outputs", "members"),
    [
        ("sigmoid", 0.5, 0.449490, (1 / 3, 0.550510)),  # in the middle of the logits
        ("sigmoid", 1.0, 0.5, (0.5, 0.5)),  # of which nobody is of another opinion
        # The factor of a number's spread makes up for any share but none.
        ("identity", 0.5, 20.0, (0.0, 40.0)),
        ("identity", 1.0, 0.0, (-20.0, 20.0)),
    ],
)
def test_members_lie_around_the_blended_answer(link, share, outputs, members):
    target = LinearTarget(link=link, classes=1, penalty=1.0)
    blend = LinearBlend(LinearSpec(features=columns_of([AREA]), targets={"price": target}))
    blend.set_shares({"price": share})  # of a linear model that scores 0
    network = blended(a_network_of_members(link), blend)
    answers = answer(network, {"area": tf.constant([5.0])}, with_members=True)
    assert answers.outputs["price"].numpy() == pytest.approx(outputs)
    assert [own["price"].numpy().item() for own in answers.members] == pytest.approx(members)


def test_a_target_that_the_linear_model_does_not_answer_stays_as_it_is(doubling):
    doubling.set_shares({"price": 1.0})
    answers = blended(a_network(100.0, "price", "mask"), doubling)({"area": np.float32([5.0])})
    assert answers["price"].numpy().tolist() == [[11.0]]
    assert answers["mask"].numpy().tolist() == [[100.0]]


def test_a_blended_network_is_one_keras_model_that_loads_by_itself(doubling, tmp_path):
    doubling.set_shares({"price": 0.5})
    network = blended(a_network(100.0, "price"), doubling)
    network.save(tmp_path / "model.keras")
    rows = {"area": np.float32([5.0, 7.0])}
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(rows)["price"], network(rows)["price"])


def test_probabilities_are_pooled_by_their_logits():
    yes, no = tf.constant([[0.8]]), tf.constant([[0.2]])
    assert pooled("sigmoid", yes, no, 0.5).numpy() == pytest.approx(0.5)
    assert pooled("sigmoid", yes, no, 0.25).numpy() == pytest.approx(2 / 3)
    classes, other = tf.constant([[0.6, 0.3, 0.1]]), tf.constant([[0.1, 0.3, 0.6]])
    expected = np.sqrt([0.06, 0.09, 0.06]) / np.sqrt([0.06, 0.09, 0.06]).sum()
    assert pooled("softmax", classes, other, 0.5).numpy()[0] == pytest.approx(expected)


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_answers_that_are_sure_stay_in_their_order_and_what_has_no_share_as_it_is(link):
    sure = tf.constant([[1e-6, 1 - 1e-6], [1e-5, 1 - 1e-5], [0.0, 1.0]])
    other = tf.constant([[0.03, 0.97], [0.01, 0.99], [0.5, 0.5]])
    np.testing.assert_array_equal(pooled(link, sure, other, 0.0), sure)
    blended = pooled(link, sure, other, 0.05).numpy()
    assert blended[0, 0] < blended[1, 0]
    assert np.isfinite(blended).all()


@pytest.mark.parametrize(
    ("answers", "linear", "share"),
    [
        ([[1.0], [2.0]], [[9.0], [9.0]], 0.0),
        ([[9.0], [9.0]], [[1.0], [2.0]], 1.0),
        ([[2.0], [3.0]], [[0.0], [1.0]], 0.5),
        ([[1.3], [2.3]], [[0.3], [1.3]], 0.3),
    ],
)
def test_the_best_share_is_the_one_whose_blend_errs_least(answers, linear, share):
    rows = (tf.constant(values) for values in ([[1.0], [2.0]], answers, linear))
    losses = losses_of_shares("identity", keras.losses.MeanSquaredError(), *rows).numpy()
    assert SHARES[int(np.argmin(losses))] == share
