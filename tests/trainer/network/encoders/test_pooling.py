"""The sum of a row's learnt term vectors."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.network.encoders.pooling import IdCounts, TermSum, Weighted
from transforms.contract.columns.features import FIRST_TERM

IDS = 6  # padding, the unknown term, and four of the vocabulary
WEIGHTS = [0.0, 3.0, 1.0, 1.5, 2.0, 2.5]
TEXTS = np.array([[4, 2, 4, 1, 0], [5, 0, 0, 0, 0], [2, 3, 4, 5, 5]], np.int64)
NO_TERMS = np.array([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0]], np.int64)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_it_is_the_counts_weighed_and_scaled_times_a_matrix(weights):
    terms = TermSum(IDS, 3, weights)
    summed = terms(TEXTS)
    counts = IdCounts(IDS, FIRST_TERM)(TEXTS)
    if weights is not None:
        counts = Weighted(weights[FIRST_TERM:])(counts)
    matrix = np.asarray(terms.embeddings_ID)[FIRST_TERM:]
    np.testing.assert_allclose(summed, np.asarray(counts) @ matrix, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_text_without_terms_is_zeros_and_so_is_no_text_at_all(weights):
    terms = TermSum(IDS, 3, weights)
    assert terms(NO_TERMS).numpy().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert terms(NO_TERMS[:0]).shape == (0, 3)
    beside = terms(np.concatenate([NO_TERMS, TEXTS]))
    np.testing.assert_allclose(beside[2:], terms(TEXTS), rtol=1e-6)


def test_terms_are_left_out_in_training_only():
    keras.utils.set_random_seed(1)
    terms = TermSum(400, 400, dropout=0.5)
    terms.build((None, 398))
    terms.embeddings_ID.assign(np.eye(400, dtype=np.float32))
    text = np.arange(FIRST_TERM, 400)[None]
    assert np.asarray(terms(text))[0].tolist() == [0, 0] + [1] * 398
    once, again = (np.asarray(terms(text, training=True))[0, FIRST_TERM:] for _ in range(2))
    # What stays is scaled up: the sum is that of all terms, give or take.
    assert set(once) == {0, 2}
    assert 150 < np.count_nonzero(once) < 250
    assert (once != again).any()


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_it_learns_the_terms_that_a_text_has_and_is_saved(policy, tmp_path):
    tensor = keras.Input((5,), dtype="int64")
    terms = TermSum(IDS, 2, WEIGHTS, dtype=policy, name="terms")
    model = keras.Model(tensor, keras.layers.Dense(1, dtype="float32")(terms(tensor)))
    before = np.array(terms.embeddings_ID)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(TEXTS[:2], np.array([[9.0], [-9.0]]), epochs=2, verbose=0)
    changed = (np.asarray(terms.embeddings_ID) != before).any(axis=1)
    assert changed.tolist() == [False, False, True, False, True, True]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(TEXTS), model(TEXTS))
