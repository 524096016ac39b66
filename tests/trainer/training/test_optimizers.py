from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.trainer.world import recipe_with
from trainer.training.optimizers import averaged_weights, build_optimizer, take_averages
from transforms.contract.declaration.training import ConstantSchedule, CosineSchedule, TrainingSpec


def optimizer_of(steps=10, ema=0.0, **fields):
    return build_optimizer(TrainingSpec(**fields), recipe_with(epochs=99, steps=steps, ema=ema))


def rates(steps, **fields):
    optimizer = optimizer_of(steps, learning_rate=0.5, **fields)
    applied = []
    for step in range(steps + 1):
        optimizer.iterations.assign(step)
        applied.append(float(optimizer.learning_rate))
    return applied


def test_a_constant_rate_stays():
    assert rates(4, schedule=ConstantSchedule()) == [0.5] * 5


def test_a_cosine_falls_from_the_rate_to_0():
    applied = rates(4, schedule=CosineSchedule())
    assert applied == pytest.approx([0.5, 0.4268, 0.25, 0.0732, 0.0], abs=1e-4)


def test_a_warmup_climbs_from_0_first():
    applied = rates(6, schedule=CosineSchedule(warmup_steps=2))
    assert applied[:3] == pytest.approx([0.0, 0.25, 0.5])
    assert applied[-1] == pytest.approx(0.0, abs=1e-6)


def test_a_warmup_longer_than_the_training_is_cut():
    assert rates(3, schedule=CosineSchedule(warmup_steps=99))[2] == pytest.approx(0.5)


def after_a_step(gradients, **fields):
    """Returns a kernel and a bias that were 1 after a step with such gradients."""
    dense = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
    dense.build((None, 1))
    optimizer = optimizer_of(learning_rate=0.5, **fields)
    optimizer.build(dense.trainable_variables)
    values = [np.full(v.shape, g, np.float32) for v, g in zip(
        dense.trainable_variables, gradients, strict=True
    )]  # fmt: skip
    optimizer.apply(values, dense.trainable_variables)
    return [float(np.asarray(v).reshape(())) for v in dense.trainable_variables]


def test_gradients_are_scaled_down_all_together():
    # A descent without momentum's past: half of 1.9 times a gradient of length 5, made 1 long.
    clipped = after_a_step((3.0, 4.0), optimizer="sgd", gradient_clipping=1.0)
    assert clipped == pytest.approx([1 - 0.95 * 0.6, 1 - 0.95 * 0.8])
    free = after_a_step((3.0, 4.0), optimizer="sgd", gradient_clipping=None)
    assert free == pytest.approx([1 - 0.95 * 3, 1 - 0.95 * 4])


def test_weights_decay_and_biases_do_not():
    assert after_a_step((0.0, 0.0), weight_decay=0.1) == pytest.approx([1 - 0.5 * 0.1, 1.0])
    assert after_a_step((0.0, 0.0), weight_decay=0.0) == [1.0, 1.0]


def kernel_of(model):
    return float(np.asarray(model.layers[0].kernel)[0, 0])


@pytest.mark.parametrize("scaled", [False, True], ids=["float32", "mixed precision"])
def test_averaged_weights_are_there_within_the_context_and_the_last_ones_after_it(scaled):
    optimizer = optimizer_of(ema=0.75, learning_rate=0.1, gradient_clipping=None)
    if scaled:  # as Keras does in mixed precision
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    model.optimizer.build(model.trainable_variables)
    steps = []
    for _ in range(2):
        model.train_on_batch(np.ones((4, 1), np.float32), np.full((4, 1), 5, np.float32))
        steps.append(kernel_of(model))
    average = pytest.approx(0.75 * steps[0] + 0.25 * steps[1], rel=1e-5)
    with averaged_weights(model):
        assert kernel_of(model) == average
    assert kernel_of(model) == steps[1] != average
    with pytest.raises(KeyError), averaged_weights(model):
        raise KeyError
    assert kernel_of(model) == steps[1]
    take_averages(model)
    assert kernel_of(model) == average


def test_without_averaging_the_weights_are_the_last_ones():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer_of(ema=0.0), "mse")
    model.optimizer.build(model.trainable_variables)
    before = kernel_of(model)
    with averaged_weights(model):
        assert kernel_of(model) == before
    take_averages(model)
    assert kernel_of(model) == before
