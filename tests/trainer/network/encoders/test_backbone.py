from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.network.encoders import encode
from transforms.contract.errors import DeclarationError
from transforms.contract.network.encoders import MobilenetEncoder, ResnetEncoder
from transforms.contract.workspace.manifest import StoredFeature


def branch(spec, channels=3, side=32):
    stored = StoredFeature(
        name="f", role="feature", kind="image", dtype="uint8", shape=(side, side, channels),
        storage="raw",
    )  # fmt: skip
    keras.utils.set_random_seed(1)
    tensor = keras.Input(stored.shape, dtype="uint8", name="f")
    return keras.Model(tensor, encode("f", spec, stored, tensor).vector)


def vectors(model):
    pixels = np.arange(2 * np.prod(model.input.shape[1:])) % 251
    return np.asarray(model(pixels.reshape((2, *model.input.shape[1:])).astype(np.uint8)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_of_any_channels_becomes_a_vector(channels):
    vector = vectors(branch(MobilenetEncoder(alpha=0.35, units=5), channels))
    assert vector.shape == (2, 5)
    assert np.isfinite(vector).all()


def test_a_resnet_becomes_a_vector():
    assert vectors(branch(ResnetEncoder(units=5))).shape == (2, 5)


def test_statistics_of_a_short_training_count():
    layers = branch(MobilenetEncoder(alpha=0.35)).get_layer("f.backbone").layers
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.9}


def test_a_trained_network_is_built_anew(tmp_path):
    model = branch(MobilenetEncoder(alpha=0.35))
    for weight in model.weights:
        weight.assign(weight + 0.01)
    model.save(tmp_path / "model.keras")
    again = branch(MobilenetEncoder(alpha=0.35))
    assert (vectors(again) != vectors(model)).any()
    again.load_weights(tmp_path / "model.keras")
    np.testing.assert_array_equal(vectors(again), vectors(model))


def test_weights_come_from_a_file(tmp_path):
    path = tmp_path / "own.weights.h5"
    network = keras.applications.MobileNetV2(
        alpha=0.35, include_top=False, weights=None, input_shape=(48, 48, 3), pooling="avg"
    )
    network.save_weights(path)
    spec = MobilenetEncoder(alpha=0.35, weights=str(path))
    for channels in (1, 3):
        loaded = branch(spec, channels).get_layer("f.backbone")
        for weight, saved in zip(loaded.weights, network.weights, strict=True):
            np.testing.assert_array_equal(weight, saved)


def test_weights_that_are_not_there_are_refused(tmp_path):
    path = tmp_path / "none.weights.h5"
    with pytest.raises(DeclarationError, match=r"model.encoders.f.weights: .*which is not there"):
        branch(MobilenetEncoder(weights=str(path)))


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(path)
    with pytest.raises(DeclarationError, match="does not fit"):
        branch(MobilenetEncoder(alpha=0.35, weights=str(path)))
    wider = keras.applications.MobileNetV2(
        alpha=0.5, include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg"
    )
    path = tmp_path / "wider.weights.h5"
    wider.save_weights(path)
    with pytest.raises(DeclarationError, match="does not fit"):
        branch(MobilenetEncoder(alpha=0.35, weights=str(path)))
    path = tmp_path / "no.weights.h5"
    path.write_bytes(b"no weights")
    with pytest.raises(DeclarationError, match="does not fit"):
        branch(MobilenetEncoder(alpha=0.35, weights=str(path)))
