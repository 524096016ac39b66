"""Learnt loss weights: what they become, what they do to the loss, and that they are resumed."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.trainer.interrupted import train_until
from tests.trainer.world import pipeline_of, recipe_with, training_with
from trainer.training.objectives import learnt_loss_weights, trainable
from trainer.training.training import train

ROWS = 512
BALANCED = training_with(
    epochs=4, learning_rate=0.05, loss_balance="uncertainty", early_stopping_patience=None
)


def network_of(outputs):
    inputs = keras.Input((2,), name="x")
    hidden = keras.layers.Dense(16, activation="relu")(inputs)
    heads = {n: keras.layers.Dense(1, activation=a, name=n)(hidden) for n, a in outputs.items()}
    return keras.Model({"x": inputs}, heads)


def balanced(targets, outputs):
    keras.utils.set_random_seed(1)
    pipeline = pipeline_of(targets=targets, training=BALANCED)
    return trainable(network_of(outputs), pipeline, None, recipe_with())


def fitted(model, labels, epochs=12):
    x, y = labels
    weights = {name: np.ones(len(x), np.float32) for name in y}
    model.fit({"x": x}, y, sample_weight=weights, epochs=epochs, batch_size=64, verbose=0)
    return learnt_loss_weights(model)


@pytest.mark.parametrize(
    ("target", "activation"),
    [({"kind": "binary"}, "sigmoid"), ({"kind": "numeric", "scale": "none"}, "linear")],
)
def test_a_target_that_is_pure_noise_gets_the_lower_weight(target, activation):
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 2)).astype(np.float32)
    is_binary = target["kind"] == "binary"
    clear = (x[:, :1] > 0) if is_binary else x[:, :1]
    noise = random.integers(2, size=(ROWS, 1)) if is_binary else random.normal(size=(ROWS, 1))
    model = balanced({"clear": target, "noise": target}, {"clear": activation, "noise": activation})
    before = learnt_loss_weights(model)
    assert before["clear"] == before["noise"]
    labels = {"clear": clear.astype(np.float32), "noise": noise.astype(np.float32)}
    after = fitted(model, (x, labels))
    assert after["noise"] < after["clear"] / 2


def test_a_weight_is_learnt_to_be_one_by_the_loss_times_what_is_declared():
    # The heads see nothing of the labels, so that the losses stay: log 2, and 4 for the number.
    # exp(-s) L + s/2 is lowest where exp(-s) = 1/(2L); exp(-s) L/2 + s/2 where exp(-s) = 1/L.
    model = balanced(
        {"yes": {"kind": "binary"}, "cost": {"kind": "numeric", "loss_weight": 3.0}},
        {"yes": "sigmoid", "cost": "linear"},
    )
    model.network.trainable = False
    for layer in model.network.layers:
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    signs = np.resize([0.0, 1.0], (ROWS, 1)).astype(np.float32)
    labels = {"yes": signs, "cost": 4 * signs - 2}
    model.optimizer.build(model.trainable_variables)
    weights = fitted(model, (np.zeros((ROWS, 2), np.float32), labels), epochs=60)
    assert weights["yes"] == pytest.approx(1 / (2 * np.log(2)), rel=0.02)
    assert weights["cost"] == pytest.approx(3.0 * 0.5 * 1 / 4, rel=0.02)


@pytest.fixture(scope="module")
def undisturbed(trainer_world):
    job = trainer_world.job("balanced", pipeline_of(training=BALANCED))
    return job, train(job)


def test_weights_are_in_history_and_result(undisturbed):
    job, result = undisturbed
    history = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    names = ("sold", "group", "cost")
    assert set(history[0]["losses"]) == {
        f"{n}_{what}" for n in names for what in ("loss", "weight")
    }
    last = {name: history[-1]["losses"][f"{name}_weight"] for name in names}
    assert result.loss_weights == pytest.approx(last)
    assert last != {name: history[0]["losses"][f"{name}_weight"] for name in names}
    # What is saved is the network alone.
    assert keras.models.load_model(Path(job.run_folder) / "model.keras").count_params() == 884


def test_learnt_weights_go_on_where_a_killed_training_was(trainer_world, undisturbed, monkeypatch):
    job = trainer_world.job("balanced-interrupted", undisturbed[0].pipeline)
    train_until(job, epoch=2, step=3)
    assert train(job).loss_weights == undisturbed[1].loss_weights
    resumed, wanted = (
        keras.models.load_model(Path(j.run_folder) / "model.keras").get_weights()
        for j in (job, undisturbed[0])
    )
    assert all(np.array_equal(a, b) for a, b in zip(resumed, wanted, strict=True))


def test_weights_are_learnt_in_mixed_precision_too(trainer_world):
    job = trainer_world.job(
        "balanced-mixed",
        pipeline_of(training=BALANCED | {"mixed_precision": "float16", "epochs": 2}),
    )
    weights = train(job).loss_weights
    assert weights["sold"] != pytest.approx(1.0, abs=0.01)
