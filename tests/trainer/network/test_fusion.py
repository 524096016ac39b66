from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.network.axes import Vector
from trainer.network.fusion import FUSIONS, ModalityDropout, fuse
from transforms.contract.network.fusions import (
    AddFusion,
    AttentionFusion,
    ConcatenateFusion,
    GatedFusion,
)

WIDTHS = (3, 1, 5)
EVERY_FUSION = [
    (ConcatenateFusion(hidden=()), 9),
    (AddFusion(hidden=(), width=4), 4),
    (GatedFusion(hidden=(), width=4), 4),
    (AttentionFusion(hidden=(), width=4, heads=2), 4),
]


def fused(spec, widths=WIDTHS):
    keras.utils.set_random_seed(1)
    branches = [keras.Input((width,)) for width in widths]
    return keras.Model(branches, fuse(spec, [Vector(branch) for branch in branches]).deep)


def rows(widths=WIDTHS, count=2):
    generator = np.random.default_rng(1)
    return [generator.normal(size=(count, width)).astype(np.float32) for width in widths]


def test_every_fusion_is_tested():
    assert {type(spec) for spec, _ in EVERY_FUSION} == set(FUSIONS)


@pytest.mark.parametrize(("spec", "width"), EVERY_FUSION)
def test_a_fusion_sees_every_branch(spec, width):
    model, branches = fused(spec), rows()
    whole = np.asarray(model(branches))
    assert whole.shape == (2, width)
    for index in range(len(branches)):
        changed = [*branches]
        changed[index] = changed[index] + 1
        assert not np.allclose(whole, model(changed))


@pytest.mark.parametrize(("spec", "width"), EVERY_FUSION)
def test_a_fusion_takes_a_single_branch(spec, width):
    vector = fused(spec, (4,))(rows((4,)))
    assert vector.shape == (2, 4)


@pytest.mark.parametrize(("spec", "_width"), EVERY_FUSION)
def test_a_fusion_ends_in_dense_layers_with_dropout(spec, _width):
    model = fused(spec.model_copy(update={"hidden": (7, 2), "dropout": 0.5}))
    assert model.output.shape == (None, 2)
    assert model.get_layer("fusion.dropout_1").rate == 0.5


@pytest.mark.parametrize(("spec", "width"), EVERY_FUSION)
def test_heads_see_what_is_joined_beside_the_dense_layers_if_so_declared(spec, width):
    spec = spec.model_copy(update={"hidden": (7, 2)})
    branches = [Vector(keras.Input((width,))) for width in WIDTHS]
    wide = fuse(spec, branches)
    assert (wide.deep.shape, wide.wide.tensor.shape) == ((None, 2), (None, 2 + width))
    narrow = fuse(spec.model_copy(update={"wide": False}), branches)
    assert narrow.wide.tensor is narrow.deep
    without_layers = fuse(spec.model_copy(update={"hidden": ()}), branches)
    assert without_layers.wide.tensor is without_layers.deep


def test_a_closed_gate_lets_nothing_of_its_branch_through():
    model, branches = fused(GatedFusion(hidden=(), width=4)), rows()
    gate = model.get_layer("fusion.gate_1")
    gate.set_weights([np.zeros((9, 4)), np.full(4, -100.0)])
    whole = np.asarray(model(branches))
    branches[1] = branches[1] + 1
    projected = model.get_layer("fusion.project_1")
    assert not np.allclose(projected(branches[1]), projected(branches[1] - 1))
    gates = [model.get_layer(f"fusion.gate_{index}") for index in (0, 2)]
    for other in gates:  # which see the branch, too
        other.set_weights([np.zeros((9, 4)), np.zeros(4)])
    before = np.asarray(model([branches[0], branches[1] - 1, branches[2]]))
    np.testing.assert_allclose(model(branches), before, atol=1e-6)
    assert np.isfinite(whole).all()


def dropped(rate, count=20_000, branches=3, training=True):
    keras.utils.set_random_seed(1)
    ones = [np.ones((count, 2), np.float32) for _ in range(branches)]
    outputs = ModalityDropout(rate)(ones, training=training)
    return np.stack([np.asarray(branch) for branch in outputs], axis=1)


@pytest.mark.parametrize("rate", [0.3, 0.9])
def test_modality_dropout_keeps_a_branch_and_the_expectation(rate):
    branches = dropped(rate)
    assert (branches[..., 0] == branches[..., 1]).all()  # a branch goes as a whole
    assert branches.any(axis=(1, 2)).all()
    assert len({tuple(row) for row in (branches[..., 0] > 0).tolist()}) == 7
    np.testing.assert_allclose(branches.mean(axis=0), 1, atol=0.05)


def test_modality_dropout_changes_nothing_outside_training():
    assert (dropped(0.9, training=False) == 1).all()


def test_modality_dropout_follows_the_seed():
    np.testing.assert_array_equal(dropped(0.5), dropped(0.5))


@pytest.mark.parametrize(("spec", "_width"), EVERY_FUSION)
def test_every_fusion_has_modality_dropout(spec, _width):
    model = fused(spec.model_copy(update={"modality_dropout": 0.5}))
    branches = rows(count=32)
    assert not np.allclose(model(branches, training=True), model(branches, training=True))
    without = fused(spec)
    without.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(branches), without(branches))


def learnt(modality_dropout):
    """Returns how often a model that learnt from two equal branches answers right by the second."""
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 512).astype(np.float32)
    clear = (labels[:, None] * 2 - 1) * np.ones((1, 4), np.float32)
    faint = 0.1 * clear[:, :1]
    spec = AddFusion(hidden=(), width=8, modality_dropout=modality_dropout)
    keras.utils.set_random_seed(3)
    inputs = [keras.Input((4,)), keras.Input((1,))]
    output = keras.layers.Dense(1, "sigmoid")(fuse(spec, [Vector(x) for x in inputs]).deep)
    model = keras.Model(inputs, output)
    model.compile("sgd", "binary_crossentropy", jit_compile=False)
    model.fit([clear, faint], labels, batch_size=64, epochs=3, verbose=0)
    return float(np.abs(labels - model([0 * clear, faint])[:, 0]).mean())


def test_a_model_with_modality_dropout_answers_better_without_a_branch():
    assert learnt(0.5) < learnt(0.0) - 0.005
