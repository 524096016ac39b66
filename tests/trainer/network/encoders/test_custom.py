from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.trainer.world import DECLARATION, manifest_of, pipeline_of
from trainer.network.model import build_model
from transforms.contract.errors import DeclarationError


def flat(stored, tensor):
    assert (stored.name, stored.shape) == ("photo", (8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(tensor)
    return keras.layers.Dense(3, name="own_dense")(keras.layers.Flatten()(x))


def unpooled(stored, tensor):
    return keras.layers.Rescaling(1 / 255)(tensor)


def integers(stored, tensor):
    return keras.layers.Flatten()(tensor)


def an_array(stored, tensor):
    return np.zeros((1, 2))


def built(path, feature="photo"):
    model = DECLARATION["model"] | {"encoders": {feature: {"kind": "custom", "builder": path}}}
    pipeline = pipeline_of(model=model)
    return build_model(pipeline, manifest_of(pipeline))


def test_a_function_encodes_a_feature():
    model = built("tests.trainer.network.encoders.test_custom:flat")
    assert model.get_layer("own_dense").output.shape == (None, 3)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unpooled", r"a floating tensor \(None, D\), received float32 \(None, 8, 8, 3\)"),
        ("integers", r"received uint8 \(None, 192\)"),
        ("an_array", "a keras.KerasTensor, received ndarray"),
        ("nothing", "a function 'nothing' in"),
    ],
)
def test_a_function_that_gives_something_else_is_refused(name, words):
    with pytest.raises(DeclarationError, match=words) as error:
        built(f"tests.trainer.network.encoders.test_custom:{name}")
    assert error.value.place == "model.encoders.photo.builder"


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(DeclarationError, match=r"model.encoders.color.builder: .*'no_such_module'"):
        built("no_such_module:f", "color")
