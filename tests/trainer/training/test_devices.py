"""Several devices learn what one does."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.support.jobs import output_of
from tests.trainer.training.test_training import outcome
from tests.trainer.world import DECLARATION, pipeline_of, training_with
from trainer.training.devices import part, strategy_for
from trainer.training.training import train
from transforms.contract.declaration.training import TrainingSpec
from transforms.contract.steps.results import TrainResult


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=9), st.integers(1, 4))
def test_the_mean_of_the_parts_is_the_mean_of_the_batch(values, count):
    numbers = tf.constant(values, tf.float32)
    batch = ({"x": numbers}, {"y": numbers[:, tf.newaxis]}, {"y": tf.ones_like(numbers) * 2})
    parts = [part(batch, index, count) for index in range(count)]
    sizes = {len(inputs["x"]) for inputs, _, _ in parts}
    assert sizes == {-(-len(values) // count)}
    means = [np.mean(p[1]["y"][:, 0] * p[2]["y"]) for p in parts]
    assert np.mean(means) == pytest.approx(2 * np.mean(values), abs=1e-4)
    kept = np.concatenate([p[0]["x"].numpy()[p[2]["y"].numpy() > 0] for p in parts])
    np.testing.assert_array_equal(kept, numbers)


def test_one_device_needs_no_strategy_and_adversarial_training_says_that_it_uses_one():
    default = tf.distribute.get_strategy()
    assert strategy_for(TrainingSpec(), None) == (default, ())
    training = TrainingSpec(objective="adversarial")
    assert strategy_for(training, ("GPU:0", "GPU:1")) == (
        default,
        ("Adversarial training used one of 2 devices.",),
    )


@pytest.mark.parametrize(
    ("balance", "members", "ema"), [("fixed", 1, 0), ("uncertainty", 1, 0), ("fixed", 2, 0.8)]
)
def test_two_devices_learn_what_one_does(trainer_world, tmp_path, balance, members, ema):
    # Every device draws its own dropout, and normalizes pictures by its own rows. Without both,
    # the parts of batches of 15 and of 11 rows have to give what the batches do.
    features = {n: f for n, f in DECLARATION["features"].items() if n != "photo"}
    pipeline = pipeline_of(
        features=features,
        model={
            "encoders": {"review": {"kind": "embedding"}},
            "fusion": {"kind": "concatenate", "hidden": [16], "dropout": 0.0},
        },
        training=training_with(
            epochs=2,
            batch_size=15,
            optimizer="sgd",
            loss_balance=balance,
            early_stopping_patience=None,
            checkpoint_seconds=1e-6,
            members=members,
            ema=ema,
        ),
    )
    one = trainer_world.job(f"one-{balance}-{members}", pipeline)
    assert train(one).devices == 1
    two = trainer_world.job(f"two-{balance}-{members}", pipeline)
    output = output_of("tests.trainer.two_devices", two, tmp_path)
    result = TrainResult.model_validate_json(output.splitlines()[-1])
    assert (result.devices, result.warnings) == (2, ())
    (history, weights), (wanted_history, wanted_weights) = outcome(two), outcome(one)
    for (loss, losses, validation), wanted in zip(history, wanted_history, strict=True):
        assert loss == pytest.approx(wanted[0], rel=1e-4)
        assert losses == pytest.approx(wanted[1], rel=1e-4)
        assert validation == pytest.approx(wanted[2], rel=1e-4)
    for output, wanted in zip(weights, wanted_weights, strict=True):
        np.testing.assert_allclose(output, wanted, atol=1e-5)
