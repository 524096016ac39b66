"""Piecewise-linear vectors of numbers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.network.encoders.numeric import PiecewiseLinear, piecewise, piecewise_of_all
from transforms.contract.network.encoders import PiecewiseEncoder
from transforms.contract.workspace.manifest import StoredFeature

EDGES = (-1.0, 0.0, 0.5, 3.0)
SPEC = PiecewiseEncoder(units=4)


def stored(name, *edges, shape=()):
    return StoredFeature(
        name=name, role="feature", kind="numeric", dtype="float32", shape=shape, edges=edges
    )


def layer(*edges, units=4):
    keras.utils.set_random_seed(1)
    made = PiecewiseLinear({"price": edges}, units)
    made.build((None, len(edges)))
    made.bias_ND.assign(np.arange(len(edges) * units, dtype=np.float32).reshape(-1, units))
    return made


def vectors(made, *rows):
    return np.asarray(made(np.array(rows, np.float32)))[..., 1:]


def test_edges_that_are_hardly_apart_give_finite_vectors():
    made = layer((0.0, 1e-45, 1.0))
    assert np.isfinite(vectors(made, [-1.0], [0.0], [1e-45], [0.5], [2.0])).all()


def test_between_two_edges_a_vector_is_linear_and_beyond_them_it_is_constant():
    made = layer(EDGES)
    below, least, low, middle, high, most, beyond = vectors(
        made, [-9], [-1], [0.5], [1.75], [3.0], [3.0], [99]
    )[:, 0]
    np.testing.assert_allclose(middle, (low + high) / 2, rtol=1e-5)
    np.testing.assert_array_equal(below, least)
    np.testing.assert_array_equal(beyond, most)
    assert not np.allclose(low, high)
    # It bends at an edge.
    left, at, right = vectors(made, [-0.5], [0.0], [0.5])[:, 0]
    assert not np.allclose(at, (left + right) / 2)


def test_a_vector_is_the_published_encoding_times_a_matrix():
    made = layer(EDGES)
    # Gorishniy, Rubachev and Babenko, equation 1: the share of every piece that lies below x.
    encoded = {-2.0: [0, 0, 0], -0.25: [0.75, 0, 0], 0.25: [1, 0.5, 0], 1.0: [1, 1, 0.2]}
    kernel, bias = np.asarray(made.kernel_NPD)[0], np.asarray(made.bias_ND)[0]
    for number, shares in encoded.items():
        expected = np.array(shares, np.float32) @ kernel + bias
        np.testing.assert_allclose(vectors(made, [number])[0, 0], expected, rtol=1e-5, atol=1e-6)


def test_a_number_without_pieces_has_a_constant_vector():
    made = layer((), EDGES, (2.0,))
    first, second = vectors(made, [-5, 0, -5], [5, 1, 5])
    np.testing.assert_array_equal(first[[0, 2]], second[[0, 2]])
    assert not np.allclose(first[1], second[1])


def inputs_of(*features):
    return {s.name: keras.Input(s.shape, dtype=s.dtype, name=s.name) for s in features}


def test_one_layer_for_all_features_gives_what_one_for_each_gives():
    features = (
        stored("plain"),
        stored("price", EDGES),
        stored("sizes", (0.0, 1.0), (0.0, 2.0, 4.0), shape=(2,)),
    )
    inputs = inputs_of(*features)
    together = keras.Model(inputs, piecewise_of_all(SPEC, {s.name: s for s in features}, inputs))
    (joint,) = (x for x in together.layers if isinstance(x, PiecewiseLinear))
    kernel = np.asarray(joint.kernel_NPD)
    rows = {
        "plain": np.array([1, 2, 3], np.float32),
        "price": np.array([-2, 0.1, 2], np.float32),
        "sizes": np.array([[0.5, 3], [9, 9], [0, 1]], np.float32),
    }
    joined = together(rows)
    assert {name: x.shape for name, x in joined.items()} == {
        "plain": (3, 1), "price": (3, 5), "sizes": (3, 10)
    }  # fmt: skip
    start = 0
    for own in features[1:]:
        tensor = keras.Input(own.shape, dtype="float32")
        alone = keras.Model(tensor, piecewise(own.name, SPEC, own, tensor))
        (single,) = (x for x in alone.layers if isinstance(x, PiecewiseLinear))
        end = start + len(own.edges)
        single.kernel_NPD.assign(kernel[start:end, : single.pieces])
        np.testing.assert_allclose(joined[own.name], alone(rows[own.name]), rtol=1e-6)
        start = end


def test_a_number_stands_before_its_vector_and_is_held_within_the_training_rows():
    price = stored("price", EDGES)
    tensor = keras.Input((), dtype="float32")
    model = keras.Model(tensor, piecewise("price", SPEC, price, tensor))
    numbers = model(np.array([7, 2, -7], np.float32)).numpy()
    assert numbers[:, 0].tolist() == [EDGES[-1], 2, EDGES[0]]
    without = keras.Model(tensor, piecewise("plain", SPEC, stored("plain"), tensor))
    assert without(np.array([7, -7], np.float32)).numpy().tolist() == [[7], [-7]]


def test_buckets_are_one_hot():
    band = StoredFeature(
        name="band", role="feature", kind="numeric", dtype="int64", shape=(), cardinality=3
    )
    tensor = keras.Input((), dtype="int64")
    model = keras.Model(tensor, piecewise("band", SPEC, band, tensor))
    assert model(np.array([2, 0])).numpy().tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_in_mixed_precision_numbers_are_rounded_after_their_pieces_are_known(policy):
    # Neither of the short types tells 1000.2 from 1000.4.
    features = {n: stored(n, (1000.0, 1001.0)) for n in ("price", "area")}
    keras.config.set_dtype_policy(policy)
    try:
        inputs = inputs_of(*features.values())
        model = keras.Model(inputs, piecewise_of_all(SPEC, features, inputs))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output["price"].dtype == policy.removeprefix("mixed_")
    numbers = np.array([1000.2, 1000.4], np.float32)
    low, high = np.asarray(model({"price": numbers, "area": numbers})["price"], np.float32)
    assert (low[1:] != high[1:]).all()


def test_a_model_with_pieces_is_saved(tmp_path):
    price = stored("price", EDGES)
    inputs = inputs_of(price)
    model = keras.Model(inputs, piecewise_of_all(SPEC, {"price": price}, inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    rows = {"price": np.array([-2, 0.1, 2], np.float32)}
    np.testing.assert_array_equal(again(rows)["price"], model(rows)["price"])
