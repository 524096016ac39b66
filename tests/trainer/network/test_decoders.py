from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.network.decoders import DECODERS, decode
from trainer.network.encoders import encode
from transforms.contract.network.decoders import UpsamplingDecoder
from transforms.contract.network.encoders import CnnEncoder
from transforms.contract.workspace.manifest import StoredFeature


def decoder(size, *filters, spec=None):
    """Returns a model from a vector and pictures, with as many poolings as filters, to a map."""
    keras.utils.set_random_seed(1)
    vector = keras.Input((5,), name="vector")
    inputs, maps = {"vector": vector}, []
    for index, own in enumerate(filters):
        name = f"f{index}"
        stored = StoredFeature(name=name, role="feature", kind="image", dtype="uint8",
                               shape=(*size, 3), storage="raw")  # fmt: skip
        inputs[name] = keras.Input(stored.shape, dtype="uint8", name=name)
        encoded = encode(name, CnnEncoder(filters=own), stored, inputs[name])
        maps.append(encoded.maps)
    spec = spec or UpsamplingDecoder()
    return keras.Model(inputs, decode("mask", spec, size, vector, maps))


def rows(model, **changed):
    random = np.random.default_rng(1)
    values = {
        name: random.integers(0, 256, (2, *tensor.shape[1:])).astype(tensor.dtype)
        for name, tensor in model.input.items()
    }
    return np.asarray(model({**values, **changed}, training=False))


def test_every_decoder_is_tested():
    assert set(DECODERS) == {UpsamplingDecoder}


@pytest.mark.parametrize("size", [(16, 16), (13, 7), (9, 32), (1, 3)])
@pytest.mark.parametrize("filters", [[(2,)], [(2, 3, 4)], [(2, 3, 4), (3,)], []])
def test_a_target_of_any_size_gets_a_map_of_its_size(size, filters):
    maps = rows(decoder(size, *filters))
    assert maps.shape[:3] == (2, *size)
    assert np.isfinite(maps).all()


def test_filters_are_those_after_every_doubling():
    spec = UpsamplingDecoder(filters=(7, 6, 5))
    model = decoder((16, 16), (2, 3, 4), spec=spec)
    filters = [layer.filters for layer in model.layers if layer.name.startswith("mask.decoder.")
             and isinstance(layer, keras.layers.Conv2D)]  # fmt: skip
    assert filters == [7, 7, 6, 5]  # the coarsest map has a convolution of its own
    assert rows(decoder((12, 20), spec=spec)).shape == (2, 12, 20, 5)
    assert rows(decoder((28, 28))).shape == (2, 28, 28, 16)


def test_the_vector_and_every_picture_reach_every_pixel():
    model = decoder((16, 16), (2, 3), (2, 3, 4))
    plain = rows(model)
    for name, tensor in model.input.items():
        other = np.zeros((2, *tensor.shape[1:]), tensor.dtype)
        assert (rows(model, **{name: other}) != plain).any(axis=-1).mean() > 0.5


def test_skips_bring_what_the_coarse_maps_have_lost():
    # One pixel in a corner that pooling cannot lose, but blurs.
    def spread(skips):
        model = decoder((32, 32), (4, 4, 4), spec=UpsamplingDecoder(skips=skips))
        black = np.zeros((2, 32, 32, 3), np.uint8)
        dot = black.copy()
        dot[:, 0, 0] = 255
        own = [layer.name for layer in model.layers if layer.name.endswith(".join")]
        return own, (rows(model, f0=dot) != rows(model, f0=black)).any(axis=-1)

    with_skips, _ = spread(True)
    without, changed = spread(False)
    assert with_skips == ["mask.decoder.2.join", "mask.decoder.1.join", "mask.decoder.0.join"]
    assert without == []
    assert changed[:, 0, 0].all()
