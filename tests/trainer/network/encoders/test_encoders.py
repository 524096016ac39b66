from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.network.encoders import ENCODERS, encode, encode_features
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import DeclarationError
from transforms.contract.network.encoders import (
    ENCODERS_BY_FEATURE_KIND,
    BagOfWordsEncoder,
    CnnEncoder,
    Conv1dEncoder,
    DenseEncoder,
    EmbeddingEncoder,
    GruEncoder,
    LstmEncoder,
    OneHotEncoder,
    SignalEncoder,
    TransformerEncoder,
)
from transforms.contract.workspace.manifest import StoredFeature

IDS = StoredFeature(
    name="f", role="feature", kind="categorical", dtype="int64", shape=(), cardinality=4
)
SEVERAL = IDS.model_copy(update={"shape": (3,)})
NUMBERS = StoredFeature(name="f", role="feature", kind="numeric", dtype="float32", shape=(3,))
WORDS = StoredFeature(
    name="f", role="feature", kind="text", dtype="int64", shape=(5,), cardinality=9
)
PICTURE = StoredFeature(
    name="f", role="feature", kind="image", dtype="uint8", shape=(9, 7, 3), storage="raw"
)


def branch(stored, spec, values, seed=1):
    keras.utils.set_random_seed(seed)
    tensor = keras.Input(stored.shape, dtype=stored.dtype, name="f")
    model = keras.Model(tensor, encode("f", spec, stored, tensor).vector)
    return np.asarray(model(np.asarray(values, stored.dtype), training=False))


def test_every_declared_encoder_has_a_function():
    declared = {(kind, spec) for kind, specs in ENCODERS_BY_FEATURE_KIND.items() for spec in specs}
    assert set(ENCODERS) == declared


def test_one_hot_has_one_input_per_id():
    assert branch(IDS, OneHotEncoder(), [0, 3]).tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


def test_several_categories_are_multi_hot_without_the_padding():
    values = [[1, 3, 0], [2, 2, 2], [0, 0, 0]]
    assert branch(SEVERAL, OneHotEncoder(), values).tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_several_categories_are_averaged_without_the_padding():
    spec = EmbeddingEncoder(dimension=3)
    both, first, second, none = branch(SEVERAL, spec, [[1, 3, 0], [1, 0, 0], [3, 3, 3], [0] * 3])
    np.testing.assert_allclose(both, (first + second) / 2, rtol=1e-5)
    assert not none.any()
    assert both.any()


def test_an_embedding_is_as_wide_as_declared_or_as_the_ids_ask_for():
    assert branch(IDS, EmbeddingEncoder(dimension=3), [0, 3]).shape == (2, 3)
    assert branch(IDS, EmbeddingEncoder(), [0, 3]).shape == (2, 6)  # 4 * 4 ** 0.25
    many = IDS.model_copy(update={"cardinality": 10**6})
    assert branch(many, EmbeddingEncoder(), [0]).shape == (1, 64)


def test_numbers_pass_as_they_are_without_layers():
    assert branch(NUMBERS, DenseEncoder(), [[1, 2, 3]]).tolist() == [[1, 2, 3]]
    single = NUMBERS.model_copy(update={"shape": ()})
    assert branch(single, DenseEncoder(), [5, 6]).tolist() == [[5], [6]]
    assert branch(NUMBERS, DenseEncoder(units=(8, 2)), [[1, 2, 3]]).shape == (1, 2)


def test_buckets_become_one_hot():
    bucket = StoredFeature(
        name="f", role="feature", kind="numeric", dtype="int64", shape=(), cardinality=3
    )
    assert branch(bucket, DenseEncoder(), [2, 0]).tolist() == [[0, 0, 1], [1, 0, 0]]
    pair = bucket.model_copy(update={"shape": (2,)})
    assert branch(pair, DenseEncoder(), [[2, 0]]).tolist() == [[0, 0, 1, 1, 0, 0]]


COUNTS = BagOfWordsEncoder(units=None)
UNORDERED = [EmbeddingEncoder(dimension=4), BagOfWordsEncoder(units=9), COUNTS]
TEXT_ENCODERS = [
    *UNORDERED,
    LstmEncoder(dimension=4, units=3),
    LstmEncoder(dimension=4, units=3, bidirectional=True),
    GruEncoder(dimension=4, units=3),
    GruEncoder(dimension=4, units=3, bidirectional=True),
    Conv1dEncoder(dimension=4, filters=6),
    Conv1dEncoder(dimension=4, filters=6, kernel_size=2),
    TransformerEncoder(dimension=8, heads=2, feed_forward=6),
]


def test_every_text_encoder_is_tested():
    tested = {type(spec) for spec in TEXT_ENCODERS}
    assert tested == set(ENCODERS_BY_FEATURE_KIND["text"])


@pytest.mark.parametrize("spec", TEXT_ENCODERS)
def test_padding_does_not_change_a_text(spec):
    short = WORDS.model_copy(update={"shape": (2,)})
    padded = branch(WORDS, spec, [[4, 7, 0, 0, 0]])
    np.testing.assert_allclose(padded, branch(short, spec, [[4, 7]]), rtol=1e-5, atol=1e-6)
    assert not np.allclose(padded, branch(WORDS, spec, [[4, 7, 2, 0, 0]]))


@pytest.mark.parametrize("spec", TEXT_ENCODERS)
def test_a_text_without_words_is_finite(spec):
    assert np.isfinite(branch(WORDS, spec, [[0, 0, 0, 0, 0]])).all()


@pytest.mark.parametrize("spec", TEXT_ENCODERS)
def test_the_mean_and_the_bag_of_words_ignore_their_order_and_the_others_do_not(spec):
    left, right = branch(WORDS, spec, [[4, 7, 2, 0, 0], [2, 7, 4, 0, 0]])
    assert np.allclose(left, right, rtol=1e-3) == (spec in UNORDERED)


def test_a_bag_counts_the_terms_of_the_vocabulary():
    counts = branch(WORDS, COUNTS, [[4, 8, 4, 1, 0], [0, 0, 0, 0, 0]])
    assert counts.tolist() == [[0, 0, 2, 0, 0, 0, 1], [0] * 7]


def test_a_weighted_bag_is_tf_idf():
    # The vocabulary red, house, flat, blue of the texts "red flat", "red red house", "blue house".
    weighted = WORDS.model_copy(
        update={
            "cardinality": 6,
            "term_weights": (0.0, 2.386294, 1.287682, 1.287682, 1.693147, 1.693147),
        }
    )
    vectors = branch(
        weighted,
        COUNTS,
        [[2, 4, 0, 0, 0], [2, 2, 3, 0, 0], [5, 3, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
    )
    # What TfidfVectorizer of scikit-learn gives for these texts.
    expected = [
        [0.60534851, 0, 0.79596054, 0],
        [0.89442719, 0.4472136, 0, 0],
        [0, 0.60534851, 0, 0.79596054],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("stored", "spec"),
    [
        (SEVERAL, OneHotEncoder()),
        (SEVERAL, EmbeddingEncoder()),
        (WORDS.model_copy(update={"term_weights": (1.0,) * 9}), COUNTS),
    ],
)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_pooled_ids_train_and_are_saved(stored, spec, jit_compile, tmp_path):
    tensor = keras.Input(stored.shape, dtype=stored.dtype, name="f")
    vector = encode("f", spec, stored, tensor).vector
    model = keras.Model(tensor, keras.layers.Dense(1)(vector))
    model.compile("sgd", "mse", jit_compile=jit_compile)
    ids = np.arange(7 * stored.shape[0]).reshape(7, -1) % 4
    history = model.fit(ids, ids.sum(axis=1), batch_size=4, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(ids), model(ids), rtol=1e-5)
    assert again(ids[:0]).shape == (0, 1)


def test_a_long_text_is_weighted_in_half_precision():
    stored = WORDS.model_copy(update={"shape": (400,), "term_weights": (0.0, 9.0, *[9.0] * 7)})
    keras.config.set_dtype_policy("mixed_float16")
    try:
        weighted = branch(stored, COUNTS, [[2] * 400])
    finally:
        keras.config.set_dtype_policy("float32")
    assert weighted.tolist() == [[1, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("spec", "width"),
    [
        (GruEncoder(units=3), 3),
        (GruEncoder(units=3, bidirectional=True), 6),
        (Conv1dEncoder(filters=5), 5),
        (TransformerEncoder(dimension=8, heads=4), 8),
    ],
)
def test_a_text_becomes_a_vector_of_the_declared_width(spec, width):
    assert branch(WORDS, spec, [[4, 7, 2, 0, 0]]).shape == (1, width)


def test_a_picture_of_any_size_becomes_a_vector():
    values = np.arange(2 * 9 * 7 * 3).reshape(2, 9, 7, 3) % 256
    vectors = branch(PICTURE, CnnEncoder(filters=(2, 3, 4, 5), units=6), values)
    assert vectors.shape == (2, 6)
    assert np.isfinite(vectors).all()


SERIES = StoredFeature(
    name="f", role="feature", kind="sequence", dtype="float32", shape=(6, 2), padded=True
)
IN_ORDER = [
    LstmEncoder(units=3),
    LstmEncoder(dimension=4, units=3, bidirectional=True),
    GruEncoder(units=3),
    GruEncoder(units=3, bidirectional=True),
    Conv1dEncoder(filters=6),
    Conv1dEncoder(dimension=4, filters=(4, 5, 6), kernel_size=2),
    TransformerEncoder(dimension=8, heads=2, feed_forward=6),
]
SEQUENCE_ENCODERS = [*IN_ORDER, SignalEncoder(kernels=6, filters=(4, 6), units=3)]
STEPS = [[0.5, -1.0], [2.0, 0.0], [1.0, 1.0], [-0.5, 3.0]]
PADDING = [np.nan, np.nan]


def test_every_sequence_encoder_is_tested():
    tested = {type(spec) for spec in SEQUENCE_ENCODERS}
    assert tested == set(ENCODERS_BY_FEATURE_KIND["sequence"])


# Not a signal, whose dense layer has weights of its own for every step of the longest series.
@pytest.mark.parametrize("spec", IN_ORDER)
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_padding_does_not_change_a_series(spec, steps):
    whole = SERIES.model_copy(update={"shape": (steps, 2), "padded": False})
    padded = branch(SERIES, spec, [STEPS[:steps] + [PADDING] * (6 - steps)])
    unpadded = branch(whole, spec, [STEPS[:steps]])
    np.testing.assert_allclose(padded, unpadded, rtol=1e-5, atol=1e-6)
    zero = STEPS[:steps] + [[0.0, 0.0]] + [PADDING] * (5 - steps)
    if not isinstance(spec, Conv1dEncoder):  # to it a step of zeros is no news
        assert not np.allclose(padded, branch(SERIES, spec, [zero]))


@pytest.mark.parametrize("spec", SEQUENCE_ENCODERS)
def test_a_series_without_steps_is_finite_beside_a_whole_one(spec):
    vectors = branch(SERIES, spec, [[PADDING] * 6, STEPS + [PADDING] * 2])
    assert np.isfinite(vectors).all()
    assert not np.allclose(vectors[0], vectors[1])


@pytest.mark.parametrize("spec", SEQUENCE_ENCODERS)
def test_the_order_of_steps_counts(spec):
    vectors = branch(SERIES, spec, [STEPS + [PADDING] * 2, STEPS[::-1] + [PADDING] * 2])
    assert not np.allclose(vectors[0], vectors[1], rtol=1e-3)


@pytest.mark.parametrize("spec", SEQUENCE_ENCODERS)
def test_gradients_of_padded_series_are_finite(spec):
    tensor = keras.Input(SERIES.shape, dtype="float32", name="f")
    vector = encode("f", spec, SERIES, tensor).vector
    model = keras.Model(tensor, keras.layers.Dense(1)(vector))
    before = [np.array(weight) for weight in model.trainable_weights]
    model.compile("sgd", "mse")
    model.fit(np.array([[PADDING] * 6, STEPS + [PADDING] * 2], np.float32), np.ones(2), verbose=0)
    assert all(np.isfinite(np.asarray(weight)).all() for weight in model.trainable_weights)
    assert any(
        (a != np.asarray(b)).any() for a, b in zip(before, model.trainable_weights, strict=True)
    )


def test_a_picture_gives_maps_from_fine_to_coarse():
    tensor = keras.Input(PICTURE.shape, dtype="uint8", name="f")
    encoded = encode("f", CnnEncoder(filters=(2, 3, 4)), PICTURE, tensor)
    shapes = [tuple(x.shape[1:]) for x in encoded.maps]
    assert shapes == [(9, 7, 2), (5, 4, 3), (3, 2, 4), (2, 1, 4)]
    assert encode("f", OneHotEncoder(), IDS, keras.Input((), dtype="int64")).maps == ()


def shared(feature, *stored, **encoder):
    """Returns a model of features that all share the first one's encoder."""
    names = [own.name for own in stored]
    others = {name: {"kind": "shared", "with": names[0]} for name in names[1:]}
    pipeline = parse(
        {
            "name": "pair",
            "source": {"path": "data", "key": "id"},
            "features": dict.fromkeys(names, feature),
            "targets": {"same": {"kind": "binary"}},
            "model": {"encoders": {names[0]: encoder} | others},
        }
    )
    inputs = {s.name: keras.Input(s.shape, dtype=s.dtype, name=s.name) for s in stored}
    # Whatever their order: here the one that is shared comes last.
    encoded = encode_features(pipeline, stored[::-1], inputs)
    return keras.Model(inputs, {name: e.vector for name, e in encoded.items()}), encoded


def test_two_pictures_share_layers_and_weights():
    feature = {"kind": "image", "height": 9, "width": 7}
    left, right = (PICTURE.model_copy(update={"name": name}) for name in ("left", "right"))
    model, encoded = shared(feature, left, right, kind="cnn", filters=[2, 3], units=5)
    alone, _ = shared(feature, left, kind="cnn", filters=[2, 3], units=5)
    assert model.count_params() == alone.count_params()
    assert [len(encoded[name].maps) for name in ("right", "left")] == [3, 3]
    pixels = np.random.default_rng(1).integers(0, 256, (2, 4, 9, 7, 3)).astype(np.uint8)
    one, two = (model({"left": pixels[i], "right": pixels[1 - i]}) for i in (0, 1))
    np.testing.assert_array_equal(one["left"], two["right"])
    assert (np.asarray(one["left"]) != np.asarray(one["right"])).any()


def test_vectors_of_numbers_share_their_layers_too():
    left, right = (NUMBERS.model_copy(update={"name": name}) for name in ("left", "right"))
    model, _ = shared({"kind": "numeric", "length": 3}, left, right, kind="dense", units=[2])
    assert model.count_params() == 8


def test_what_is_not_stored_alike_shares_nothing():
    left, right = (NUMBERS.model_copy(update={"name": name}) for name in ("left", "right"))
    longer = right.model_copy(update={"shape": (4,)})
    with pytest.raises(DeclarationError, match=r"model\.encoders\.right\.with: expected a feature"):
        shared({"kind": "numeric", "length": 3}, left, longer, kind="dense")
