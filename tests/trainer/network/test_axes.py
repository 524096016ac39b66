"""The meaning of the axes of a network's weights, as the layers say it."""

from __future__ import annotations

import keras
import pytest

from tests.trainer.world import manifest_of, pipeline_of
from trainer.network.axes import Segment, Vector, axes_of, name_axes, with_axes
from trainer.network.fusion import fuse
from trainer.network.model import build_model
from trainer.training.meanings import axes_by_path
from transforms.contract.declaration.parsing import parse
from transforms.contract.network.fusions import (
    AddFusion,
    AttentionFusion,
    ConcatenateFusion,
    GatedFusion,
)
from transforms.contract.workspace.manifest import StoredFeature

PRICE = StoredFeature(
    name="price", role="feature", kind="numeric", dtype="float32", shape=(), edges=((0.0, 1.0),)
)
SIZES = PRICE.model_copy(
    update={"name": "sizes", "shape": (2,), "edges": ((0.0, 2.0, 3.0), (0.0, 1.0))}
)
SOLD = StoredFeature(name="sold", role="target", kind="binary", dtype="float32", shape=())
NUMBERS = (Segment(name="price", size=1), Segment(name="sizes", size=2))
JOINED = (Segment(name="price", size=1 + 8), Segment(name="sizes", size=2 + 2 * 8))


def test_every_member_knows_numbers_and_their_pieces_by_the_feature():
    pipeline = parse(
        {
            "name": "numbers",
            "source": {"path": "data", "key": "id"},
            "features": {"price": {"kind": "numeric"}, "sizes": {"kind": "numeric", "length": 2}},
            "targets": {"sold": {"kind": "binary"}},
            "model": {"fusion": {"kind": "concatenate", "hidden": [4]}},
        }
    )
    manifest = manifest_of(pipeline_of()).model_copy(update={"stored": (PRICE, SIZES, SOLD)})
    axes = axes_by_path(build_model(pipeline, manifest, members=2))
    for member in ("member_0", "member_1"):
        assert axes[f"{member}/price.piecewise/kernel"] == (NUMBERS, None, None)
        assert axes[f"{member}/price.piecewise/bias"] == (NUMBERS, None)
        assert axes[f"{member}/fusion.dense_0/kernel"] == (JOINED, None)
        # The head sees the dense layer before what it reads.
        deep = Segment(name="fusion", size=4)
        assert axes[f"{member}/sold/kernel"] == ((deep, *JOINED), None)


COLOR = (Segment(name="color", size=3, entries="ids"),)
SIZE = (Segment(name="size", size=2),)


def axes_in(spec):
    """Returns the network of a fusion of two branches, and a function that reads its axes."""
    branches = [Vector(keras.Input((3,)), COLOR), Vector(keras.Input((2,)), SIZE)]
    fused = fuse(spec, branches)
    network = keras.Model([branch.tensor for branch in branches], fused.wide.tensor)

    def first_axis(name):
        layer = network.get_layer(name)
        return axes_of(layer, layer.kernel)[0]

    return fused, first_axis


def test_what_is_joined_stands_for_its_branches_before_and_beside_the_dense_layers():
    fused, first_axis = axes_in(ConcatenateFusion(hidden=(4, 5)))
    assert first_axis("fusion.dense_0") == (*COLOR, *SIZE)
    assert first_axis("fusion.dense_1") is None
    assert fused.wide.entries == (Segment(name="fusion", size=5), *COLOR, *SIZE)
    fused, _ = axes_in(ConcatenateFusion(hidden=()))
    assert fused.wide.entries == (*COLOR, *SIZE)
    fused, _ = axes_in(ConcatenateFusion(hidden=(4,), wide=False))
    assert fused.wide.entries is None


@pytest.mark.parametrize(
    "spec",
    [
        AddFusion(hidden=(4,), width=4),
        GatedFusion(hidden=(4,), width=4, modality_dropout=0.5),
        AttentionFusion(hidden=(4,), width=4, heads=2),
    ],
)
def test_a_projection_stands_for_its_branch_and_what_comes_after_it_for_none(spec):
    fused, first_axis = axes_in(spec)
    assert first_axis("fusion.project_0") == COLOR
    assert first_axis("fusion.project_1") == SIZE
    assert first_axis("fusion.dense_0") is None
    assert fused.wide.entries is None
    if spec.kind == "gated":
        assert first_axis("fusion.gate_1") == (*COLOR, *SIZE)


def test_a_layer_is_known_by_what_it_says_whatever_its_name():
    ids = keras.Input((), dtype="int64")
    layer = with_axes(keras.layers.Embedding(3, 2, name="any name"), embeddings=(COLOR, None))
    network = keras.Model(ids, keras.layers.Dense(1, name="silent")(layer(ids)))
    assert axes_by_path(network) == {
        "any name/embeddings": (COLOR, None),
        "silent/kernel": (None, None),
        "silent/bias": (None,),
    }


def test_a_users_layers_say_what_their_names_do_if_their_shapes_agree():
    color = StoredFeature(
        name="color", role="feature", kind="categorical", dtype="int64", shape=(), cardinality=3
    )
    group = color.model_copy(update={"name": "group", "role": "target", "cardinality": 2})
    ids = keras.Input((), dtype="int64")
    vector = keras.layers.Embedding(3, 2, name="color.embedding")(ids)
    inner = keras.Model(ids, keras.layers.Dense(5, name="group")(vector), name="inner")
    network = keras.Model(ids, keras.layers.Dense(2, name="group")(inner(ids)))
    name_axes(network, [color, group])
    classes = (Segment(name="group", size=2, entries="classes"),)
    assert axes_by_path(network) == {
        "inner/color.embedding/embeddings": (COLOR, None),
        "inner/group/kernel": (None, None),
        "inner/group/bias": (None,),
        "group/kernel": (None, classes),
        "group/bias": (classes,),
    }
