"""The defaults of a text that follow from the encoder that reads it."""

from __future__ import annotations

from typing import Any

import pytest

from transforms.contract.columns.features import Text
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.text_defaults import with_text_defaults


def text(encoders: dict[str, Any] | None = None, **declared: Any) -> tuple[Any, ...]:
    """Returns n-grams, weights and length of a declared text."""
    document = {
        "name": "texts",
        "source": {"path": "data", "key": "id"},
        "features": {"review": {"kind": "text", **declared}, "other": {"kind": "text"}},
        "targets": {"sold": {"kind": "binary"}},
        "model": {"encoders": encoders or {}},
    }
    feature = parse(document).features["review"]
    assert isinstance(feature, Text)
    return feature.ngrams, feature.weights, feature.length


@pytest.mark.parametrize("encoders", [{}, {"review": {"kind": "bag_of_words", "units": None}}])
def test_a_text_whose_terms_are_counted_has_weighed_pairs_of_words(encoders):
    assert text(encoders) == (2, "tf_idf", 1024)


@pytest.mark.parametrize("kind", ["lstm", "gru", "conv1d", "transformer", "embedding"])
def test_a_text_with_another_encoder_has_the_defaults_of_its_kind(kind):
    assert text({"review": {"kind": kind}}) == (1, None, 64)


def test_what_is_declared_holds():
    assert text(ngrams=1, weights=None, length=8) == (1, None, 8)
    assert text(length=8) == (2, "tf_idf", 8)


def test_a_network_of_the_users_own_reads_texts_as_they_are():
    document = {
        "features": {"review": {"kind": "text"}},
        "model": {"builder": "my.network:build"},
    }
    assert with_text_defaults(document) == document


def test_features_of_other_kinds_stay_and_so_does_what_was_given():
    document = {"features": {"price": {"kind": "numeric"}, "review": {"kind": "text"}}}
    filled = with_text_defaults(document)
    assert filled["features"]["price"] == {"kind": "numeric"}
    assert filled["features"]["review"]["ngrams"] == 2
    assert document["features"]["review"] == {"kind": "text"}


@pytest.mark.parametrize("document", [None, [], {"features": ["review"]}, {"features": {"a": 3}}])
def test_what_is_no_declaration_is_left_to_the_parser(document):
    assert with_text_defaults(document) == document
