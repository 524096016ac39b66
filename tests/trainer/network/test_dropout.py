from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.network.dropout import Dropout


def dropped(rate, shape=(400, 250), seed=1, dtype="float32"):
    layer = Dropout(rate, seed=seed, dtype=dtype)
    return np.asarray(layer(np.ones(shape, dtype), training=True)), layer


@pytest.mark.parametrize("rate", [0.001, 0.15, 0.9])
def test_a_share_of_the_numbers_is_zero_and_the_rest_is_scaled_up(rate):
    values, _ = dropped(rate)
    share = (values == 0).mean()
    assert share == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / values.size))
    np.testing.assert_allclose(values[values != 0], 1 / (1 - rate), rtol=1e-3)


def test_draws_are_independent_of_one_another():
    zero = dropped(0.5)[0] == 0
    shifted = [zero[:, :-lag] == zero[:, lag:] for lag in (1, 2, 3, 4, 8)]
    down = [zero[:-lag] == zero[lag:] for lag in (1, 2, 4)]
    assert [same.mean() for same in (*shifted, *down)] == pytest.approx([0.5] * 8, abs=0.01)


def test_every_step_draws_anew_from_the_seed():
    first, layer = dropped(0.5)
    second = np.asarray(layer(np.ones((400, 250), np.float32), training=True))
    assert (first != second).mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(first, dropped(0.5)[0])
    assert (first != dropped(0.5, seed=2)[0]).any()


@pytest.mark.parametrize("rate", [0.0, 1e-6])
def test_what_is_next_to_nothing_drops_nothing(rate):
    np.testing.assert_array_equal(dropped(rate)[0], 1)


def test_an_answer_drops_nothing():
    np.testing.assert_array_equal(Dropout(0.5)(np.ones((3, 5)), training=False), 1)


@pytest.mark.parametrize("shape", [(3,), (1, 1), (2, 3, 5), (7, 1, 2, 3)])
def test_numbers_of_any_shape_and_precision_keep_them(shape):
    for dtype in ("float32", "float16", "bfloat16"):
        layer = Dropout(0.5, dtype=dtype)
        tensor = layer(tf.ones(shape, dtype), training=True)
        assert (tuple(tensor.shape), tensor.dtype.name) == (shape, dtype)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_is_learnt_through_in_batches_of_any_length(jit_compile):
    inputs = keras.Input((6,))
    outputs = keras.layers.Dense(1)(Dropout(0.3)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", jit_compile=jit_compile)
    model.fit(np.ones((10, 6)), np.ones(10), batch_size=4, verbose=0)
    assert np.isfinite(model.predict(np.ones((3, 6)), verbose=0)).all()


def test_a_saved_model_drops_as_before(tmp_path):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, Dropout(0.25, seed=4)(inputs))
    model.save(tmp_path / "model.keras")
    *_, again = keras.models.load_model(tmp_path / "model.keras").layers
    assert isinstance(again, Dropout)
    assert again.rate == 0.25
