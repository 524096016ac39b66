"""Series by random kernels."""

from __future__ import annotations

import keras
import numpy as np

from trainer.network.encoders.signal import RandomKernels, signal
from transforms.contract.network.encoders import SignalEncoder
from transforms.contract.workspace.manifest import StoredFeature

RANDOM = np.random.default_rng(1)
SERIES = RANDOM.normal(size=(3, 12, 2)).astype(np.float32)


def kernels(count=20, length=12):
    keras.utils.set_random_seed(1)
    made = RandomKernels(count)
    made.build((None, length, 2))
    return made


def test_of_each_kernel_there_is_the_share_above_0_and_the_strongest_answer():
    made = RandomKernels(1)
    made.build((None, 3, 1))
    ((_, kernel, bias),) = made._dilated
    values = np.zeros((9, 1, 1), np.float32)
    values[4] = 2.0  # the middle: twice the step itself
    kernel.assign(values)
    bias.assign([1.0])
    series = np.array([[[3.0], [-1.0], [0.5]]], np.float32)  # answers 7, -1 and 2
    np.testing.assert_allclose(made(series), [[2 / 3, 7]], rtol=1e-6)


def test_kernels_reach_over_the_whole_of_a_long_series():
    # 65 steps hold nine that lie 8 apart.
    made = kernels(16, 65)
    assert [dilation for dilation, _, _ in made._dilated] == [1, 2, 4, 8]
    assert sum(kernel.shape[-1] for _, kernel, _ in made._dilated) == 16


def test_the_level_of_a_series_says_nothing_but_at_its_ends():
    made = kernels(40, 40)
    for _, kernel, bias in made._dilated:
        np.testing.assert_allclose(np.sum(kernel, axis=0), 0, atol=1e-5)
        assert (np.abs(bias) <= 1).all()


def test_kernels_are_fixed_while_a_model_learns_and_when_it_is_saved(tmp_path):
    tensor = keras.Input((12, 2))
    made = RandomKernels(20)
    model = keras.Model(tensor, keras.layers.Dense(1)(made(tensor)))
    before = [np.array(weight) for weight in made.weights]
    wanted = np.asarray(made(SERIES))
    model.compile("sgd", "mse")
    model.fit(SERIES, np.ones(3), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, made.weights, strict=True))
    assert not made.trainable_weights
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.get_layer(made.name)(SERIES), wanted)


def test_padding_does_not_count():
    made = kernels()
    padded, mask = SERIES.copy(), np.ones((3, 12), bool)
    padded[:, 8:], mask[:, 8:] = 0, False
    np.testing.assert_allclose(made(padded, mask), made(SERIES[:, :8]), rtol=1e-5, atol=1e-6)


def test_padding_is_no_answer_where_all_others_are_weaker():
    made = RandomKernels(1)
    made.build((None, 3, 1))
    ((_, kernel, bias),) = made._dilated
    values = np.zeros((9, 1, 1), np.float32)
    values[4] = 1.0
    kernel.assign(values)
    bias.assign([0.5])
    series, mask = np.array([[[-3.0], [-2.0], [0.0]]], np.float32), np.array([[1, 1, 0]], bool)
    np.testing.assert_allclose(made(series, mask), [[0, -1.5]], rtol=1e-6)


def test_a_series_of_padding_answers_with_finite_numbers():
    made = kernels()
    answers = np.asarray(made(SERIES, np.zeros((3, 12), bool)))
    assert np.isfinite(answers).all()
    np.testing.assert_array_equal(answers[0], answers[1])


def test_a_kernel_looks_at_few_of_many_channels():
    keras.utils.set_random_seed(1)
    made = RandomKernels(200)
    made.build((None, 9, 40))
    ((_, kernel, _),) = made._dilated
    looked_at = (np.asarray(kernel) != 0).any(axis=0).sum(axis=0)
    assert looked_at.min() >= 1
    assert 1.5 < looked_at.mean() < 3


def test_the_three_views_stand_side_by_side():
    stored = StoredFeature(
        name="f", role="feature", kind="sequence", dtype="float32", shape=(12, 2), padded=True
    )
    tensor = keras.Input(stored.shape, dtype="float32")
    for filters, width in (((4, 6), 2 * 6 + 3 + 2 * 10), ((), 3 + 2 * 10)):
        spec = SignalEncoder(kernels=10, filters=filters, units=3)
        assert signal("f", spec, stored, tensor).shape == (None, width)
