from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.trainer.world import DECLARATION, STORED, manifest_of, pipeline_of
from trainer.network.builder import find
from trainer.network.model import build_model
from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.manifest import StoredFeature


def described(tensors):
    return {name: (t.dtype, tuple(t.shape)) for name, t in tensors.items()}


def test_the_model_takes_every_stored_input_and_gives_every_target():
    model = build_model(pipeline_of(), manifest_of(pipeline_of()))
    inputs = [s for s in STORED if s.role in ("feature", "indicator")]
    assert described(model.input) == {s.name: (s.dtype, (None, *s.shape)) for s in inputs}
    assert described(model.output) == {
        "sold": ("float32", (None, 1)),
        "group": ("float32", (None, 3)),
        "cost": ("float32", (None, 1)),
    }


def test_mixed_precision_computes_in_float16_and_gives_float32():
    model = build_model(pipeline_of(), manifest_of(pipeline_of()), mixed_precision="float16")
    assert model.get_layer("fusion.dense_0").compute_dtype == "float16"
    assert {t.dtype for t in model.output.values()} == {"float32"}
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_a_feature_may_be_called_as_a_layer_is():
    names = ("dense", "concatenate", "embedding", "braid", "fusion")
    pipeline = pipeline_of(
        features={name: {"kind": "numeric"} for name in names},
        targets={"input_layer": {"kind": "binary"}},
        model={"fusion": {"kind": "concatenate", "hidden": [4]}},
    )
    stored = [
        StoredFeature(name=name, role="feature", kind="numeric", dtype="float32", shape=())
        for name in names
    ]
    label = StoredFeature(
        name="input_layer", role="target", kind="binary", dtype="float32", shape=()
    )
    manifest = manifest_of(pipeline_of()).model_copy(update={"stored": (*stored, label)})
    model = build_model(pipeline, manifest)
    answers = model({name: np.zeros(2, np.float32) for name in names})
    assert answers["input_layer"].shape == (2, 1)


def build(_pipeline, manifest):
    inputs = {s.name: keras.Input(s.shape, dtype=s.dtype, name=s.name) for s in manifest.inputs()}
    x = keras.layers.Concatenate()([inputs["sizes"], keras.layers.Reshape((1,))(inputs["price"])])
    outputs = {
        "sold": keras.layers.Dense(1, "sigmoid")(x),
        "group": keras.layers.Dense(3, "softmax")(x),
        "cost": keras.layers.Dense(1)(x),
    }
    return keras.Model(inputs, outputs)


def changed(change):
    def builder(pipeline, manifest):
        model = build(pipeline, manifest)
        inputs, outputs = dict(model.input), dict(model.output)
        return change(inputs, outputs)

    return builder


def without_photo(inputs, outputs):
    return keras.Model({k: v for k, v in inputs.items() if k != "photo"}, outputs)


def without_cost(inputs, outputs):
    return keras.Model(inputs, {k: v for k, v in outputs.items() if k != "cost"})


def logits_of_two(inputs, outputs):
    return keras.Model(inputs, outputs | {"group": keras.layers.Dense(2)(outputs["group"])})


def as_list(inputs, outputs):
    return keras.Model(inputs, list(outputs.values()))


def with_other_dtype(inputs, outputs):
    return keras.Model(inputs | {"color": keras.Input((), dtype="float32", name="color")}, outputs)


def with_stranger(inputs, outputs):
    return keras.Model(inputs | {"stranger": keras.Input((), name="stranger")}, outputs)


WRONG = {
    "no_model": (lambda _pipeline, _manifest: 7, "expected a keras.Model, received int"),
    "photo": (changed(without_photo), "expected an input 'photo', received none"),
    "cost": (changed(without_cost), "expected the outputs cost, group, sold, received group, sold"),
    "width": (changed(logits_of_two), r"output 'group' of shape \(None, 3\).*activation 'softmax'"),
    "list": (changed(as_list), "a dict of named outputs, received outputs of type list"),
    "dtype": (changed(with_other_dtype), "input 'color' of int64 .* received float32"),
    "stranger": (changed(with_stranger), "received an input 'stranger'"),
}


def declared_builder(path):
    model = {"builder": path}
    return pipeline_of(**(DECLARATION | {"model": model}))


def test_a_builder_of_the_working_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "own_builder_module.py").write_text("def make(pipeline, manifest): return 'made'")
    monkeypatch.chdir(tmp_path)
    assert find("own_builder_module:make")(None, None) == "made"


def test_a_builder_builds_the_model():
    pipeline = declared_builder("tests.trainer.network.test_model:build")
    model = build_model(pipeline, manifest_of(pipeline_of()))
    assert set(model.output) == {"sold", "group", "cost"}


@pytest.mark.parametrize("case", WRONG)
def test_a_builder_with_another_interface_is_refused(case, monkeypatch):
    builder, words = WRONG[case]
    monkeypatch.setattr("tests.trainer.network.test_model.build_wrong", builder, raising=False)
    # The cases call `build`, so the declared one needs another name.
    pipeline = declared_builder("tests.trainer.network.test_model:build_wrong")
    with pytest.raises(DeclarationError, match=words):
        build_model(pipeline, manifest_of(pipeline_of()))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module:f", "an importable module 'no_such_module'"),
        (
            "tests.trainer.network.test_model:missing",
            "a function 'missing' in tests.trainer.network.test_model",
        ),
        ("tests.trainer.network.test_model:WRONG", "received dict"),
    ],
)
def test_a_builder_that_is_not_there_is_refused(path, words):
    with pytest.raises(DeclarationError, match=words):
        find(path)
