from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.conftest import Table, kinds_rows
from transforms.contract.columns.features import Text
from transforms.kinds.features.text import requests, stored
from transforms.kinds.requests import Learnt, VocabularyRequest

Transform = Callable[..., dict[str, np.ndarray]]

# "good" and "number" are in every training row; "0" to "3" are rarer.


def test_words_are_padded_and_cut(transform_rows: Transform) -> None:
    ids = transform_rows(review=["good number", "good good good good good", ""])["review"]
    assert ids.tolist() == [[2, 3, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]]


def test_unknown_word_differs_from_padding(transform_rows: Transform) -> None:
    assert transform_rows(review=["good zebra"])["review"].tolist() == [[2, 1, 0, 0]]


def test_case_and_punctuation_do_not_matter(transform_rows: Transform) -> None:
    ids = transform_rows(review=["GOOD,number", "«good» — number…"])["review"]
    assert ids.tolist() == [[2, 3, 0, 0], [2, 3, 0, 0]]


def terms_of(texts: list[str], **options: Any) -> list[str]:
    """Returns the terms that the vocabulary of some texts is made of."""
    spec = Text(kind="text", **options)
    vocabulary = requests("f", spec, tf.constant(texts))[0]
    assert isinstance(vocabulary, VocabularyRequest)
    return [term.decode() for term in vocabulary.values.numpy()]


def test_ngrams_stand_at_their_first_word_and_stay_in_their_text() -> None:
    terms = terms_of(["a red flat", "", "b"], ngrams=2)
    assert terms == ["a", "a red", "red", "red flat", "flat", "b"]


def test_characters_are_those_of_the_reader_and_keep_one_space() -> None:
    assert terms_of([" Né\t\n東!"], level="characters") == ["n", "é", " ", "東"]
    pairs = ["a", "ab", "b", "b ", " ", " c", "c"]
    assert terms_of(["ab c"], level="characters", ngrams=2) == pairs


def plain_ngrams(parts: list[str], longest: int, separator: str) -> list[str]:
    return [
        separator.join(parts[start : start + size])
        for start in range(len(parts))
        for size in range(1, longest + 1)
        if start + size <= len(parts)
    ]


TEXTS = st.lists(st.text("ab é東", max_size=8), min_size=1, max_size=5)


@settings(deadline=None)  # TensorFlow's first call is slow
@given(TEXTS, st.integers(1, 4))
def test_ngrams_of_words_are_those_of_plain_python(texts: list[str], longest: int) -> None:
    words = [[word for word in text.split(" ") if word] for text in texts]
    expected = [term for parts in words for term in plain_ngrams(parts, longest, " ")]
    assert terms_of(texts, ngrams=longest) == expected


@settings(deadline=None)  # TensorFlow's first call is slow
@given(TEXTS, st.integers(1, 4))
def test_ngrams_of_characters_are_those_of_plain_python(texts: list[str], longest: int) -> None:
    spaced = [" ".join(text.split()) for text in texts]
    expected = [term for text in spaced for term in plain_ngrams(list(text), longest, "")]
    assert terms_of(texts, level="characters", ngrams=longest) == expected


@settings(deadline=None)  # TensorFlow's first call is slow
@given(TEXTS)
def test_for_weights_a_text_counts_each_of_its_terms_once(texts: list[str]) -> None:
    terms = terms_of(texts, weights="tf_idf")
    assert sorted(terms) == sorted(term for text in texts for term in set(text.split()))


def test_length_cuts_terms(transform_kinds: Transform) -> None:
    outputs = transform_kinds(review=["good flat", "good bad flat good bad flat"])
    assert (outputs["letters"] > 0).sum(axis=1).tolist() == [12, 12]
    assert (outputs["terms"] > 0).sum(axis=1).tolist() == [3, 8]


def test_pairs_of_words_have_ids_of_their_own(transform_kinds: Transform) -> None:
    (ids,) = transform_kinds(review=["a bad flat"])["terms"]
    assert ids[5:].tolist() == [0, 0, 0]
    assert len(set(ids[:5])) == 5
    assert ids[:5].min() > 1
    (unseen,) = transform_kinds(review=["flat bad"])["terms"]
    assert unseen[:3].tolist() == [ids[4], 1, ids[2]]


def test_weights_are_the_smooth_inverse_document_frequency() -> None:
    # Of the three texts "red flat", "red red house" and "blue house".
    learnt = Learnt(terms=("house", "red", "blue", "flat"), counts=(2, 2, 1, 1), rows=3)
    details = stored(Text(kind="text", weights="tf_idf"), learnt)
    assert details["cardinality"] == 6
    assert details["term_weights"] == pytest.approx(
        [
            0.0,
            2.386294361119891,  # ln(4 / 1) + 1
            1.2876820724517808,  # ln(4 / 3) + 1
            1.2876820724517808,
            1.6931471805599454,  # ln(4 / 2) + 1
            1.6931471805599454,
        ]
    )


def test_documents_are_the_training_rows(kinds: Table) -> None:
    job = kinds.job()
    manifest = job.folders().read_transform(job.transform)
    assert manifest is not None
    folder = job.folders().transform(job.transform) / "statistics" / "vocabularies"
    terms = (folder / "terms.txt").read_text().split("\n")[:-1]
    rows = kinds_rows(100)
    texts = [
        (text or "").lower().replace(",", " ").replace("!", " ").split()
        for text, fold in zip(rows["review"], rows["fold"], strict=True)
        if fold == "train"
    ]
    documents = [set(plain_ngrams(words, 2, " ")) for words in texts]
    (feature,) = [s for s in manifest.stored if s.name == "terms"]
    expected = [
        math.log((1 + len(documents)) / (1 + sum(term in d for d in documents))) + 1
        for term in terms
    ]
    assert feature.term_weights[2:] == pytest.approx(expected)
    assert len(documents) == 60
    (plain,) = [s for s in manifest.stored if s.name == "letters"]
    assert plain.term_weights == ()
