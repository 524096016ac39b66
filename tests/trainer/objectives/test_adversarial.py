"""Adversarial training on tiny pictures whose place says their class."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.checkpoint import Checkpoints, TrainingState
from trainer.losses import RowLoss
from trainer.objectives.adversarial import Adversarial

SIDE, NOISE, ROWS = 4, 3, 64
SIDES = partial(keras.Input, (), dtype="int64", name="side")


def generator():
    inputs = {"side": SIDES(), "z": keras.Input((NOISE,), name="z")}
    place = keras.layers.Embedding(2, 4)(inputs["side"])
    x = keras.layers.Concatenate()([place, inputs["z"]])
    x = keras.layers.BatchNormalization(momentum=0.9)(keras.layers.Dense(32)(x))
    x = keras.layers.Dense(SIDE * SIDE, activation="sigmoid")(keras.layers.ReLU()(x))
    return keras.Model(inputs, {"picture": keras.layers.Reshape((SIDE, SIDE, 1))(x)})


def discriminator():
    inputs = {"picture": keras.Input((SIDE, SIDE, 1), name="picture"), "side": SIDES()}
    place = keras.layers.Embedding(2, 4)(inputs["side"])
    x = keras.layers.Dropout(0.2)(keras.layers.Flatten()(inputs["picture"]))
    x = keras.layers.Concatenate()([place, x])
    x = keras.layers.LeakyReLU(0.2)(keras.layers.Dense(32)(x))
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def adversarial(seed=5):
    keras.utils.set_random_seed(seed)
    model = Adversarial(generator(), discriminator(), keras.optimizers.Adam(2e-3, beta_1=0.5))
    model.compile(
        keras.optimizers.Adam(2e-3, beta_1=0.5), {"picture": RowLoss("mse")}, jit_compile=False
    )
    model.optimizer.build(model.network.trainable_variables)
    return model


def batch(seed, weight=1.0):
    """Pictures that are bright on the left for side 0 and on the right for side 1."""
    random = np.random.default_rng(seed)
    side = random.integers(2, size=ROWS)
    pictures = random.uniform(0, 0.2, (ROWS, SIDE, SIDE, 1))
    for row, half in enumerate(side):
        pictures[row, :, 2 * half : 2 * half + 2] = random.uniform(0.8, 1.0)
    inputs = {"side": side, "z": random.normal(size=(ROWS, NOISE)).astype(np.float32)}
    targets = {"picture": pictures.astype(np.float32)}
    weights = {"picture": np.full(ROWS, weight, np.float32)}
    return tf.nest.map_structure(tf.constant, (inputs, targets, weights))


def values_of(variables):
    return [variable.numpy() for variable in variables]


def same(first, second):
    return [np.array_equal(a, b) for a, b in zip(first, second, strict=True)]


@pytest.fixture(scope="module")
def trained():
    model = adversarial()
    step = tf.function(model.train_step)
    logs = [step(batch(number)) for number in range(1500)]
    return model, {name: float(value) for name, value in logs[-1].items()}


def test_the_network_learns_to_make_what_its_conditions_say(trained):
    model, _ = trained
    for side in (0, 1):
        noise = np.random.default_rng(9).normal(size=(50, NOISE)).astype(np.float32)
        made = model.network({"side": np.full(50, side), "z": noise})["picture"].numpy()
        halves = made[:, :, :2].mean(), made[:, :, 2:].mean()
        assert halves[side] > 0.7
        assert halves[1 - side] < 0.3


def test_both_losses_are_reported_and_neither_network_has_won(trained):
    _, logs = trained
    assert set(logs) == {"loss", "generator_loss", "discriminator_loss"}
    assert logs["loss"] == pytest.approx(logs["generator_loss"] + logs["discriminator_loss"])
    assert 0.3 < logs["generator_loss"] < 3


def test_evaluation_is_the_supervised_loss_of_the_network(trained):
    model, _ = trained
    inputs, targets, weights = batch(0)
    made = model.network(inputs, training=False)["picture"].numpy()
    loss = model.evaluate(inputs, targets, sample_weight=weights, verbose=0, return_dict=True)
    assert loss["loss"] == pytest.approx(np.square(made - targets["picture"]).mean(), rel=1e-4)


def test_a_step_trains_both_networks_by_their_own_optimizers():
    model = adversarial()
    networks = (model.network, model.discriminator)
    before = [values_of(network.trainable_variables) for network in networks]
    model.train_step(batch(0))
    for network, values in zip(networks, before, strict=True):
        assert not all(same(values_of(network.trainable_variables), values))
    assert [int(optimizer.iterations) for optimizer in model.optimizers] == [1, 1]


def test_a_masked_row_has_no_picture_to_learn_from():
    model = adversarial()
    before = values_of(model.discriminator.trainable_variables)
    model.train_step(batch(0, weight=0.0))
    assert all(same(values_of(model.discriminator.trainable_variables), before))


def test_a_checkpoint_has_all_that_a_step_depends_on(tmp_path):
    undisturbed = adversarial()
    for number in range(3):
        undisturbed.train_step(batch(number))
    Checkpoints(tmp_path).save(undisturbed, TrainingState(epochs=1))
    undisturbed.train_step(batch(3))

    resumed = adversarial(seed=6)
    Checkpoints(tmp_path).restore(resumed, 0)
    resumed.train_step(batch(3))
    for name in ("network", "discriminator"):
        found, wanted = (getattr(model, name).variables for model in (resumed, undisturbed))
        assert all(same(values_of(found), values_of(wanted)))
