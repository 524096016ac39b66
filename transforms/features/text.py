"""Texts to the ids of their words."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

from transforms.contract.features import Text
from transforms.contract.manifest import StoredFeature
from transforms.requests import Fitted, Request, VocabularyRequest

_PADDING, _UNKNOWN, _FIRST_TERM = 0, 1, 2


def requests(name: str, spec: Text, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the vocabulary of the words."""
    words = _words(spec, raw).flat_values
    return (VocabularyRequest(name, words, spec.vocabulary_size, spec.minimum_count),)


def encode(name: str, spec: Text, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns word ids, int64 [batch, length], padded with 0 at the end."""
    words = _words(spec, raw)[:, : spec.length]
    found = tft.apply_vocabulary(words.flat_values, fitted.vocabularies[name], default_value=-1)
    ids = tf.where(found < 0, tf.constant(_UNKNOWN, tf.int64), found + _FIRST_TERM)
    return words.with_flat_values(ids).to_tensor(_PADDING, shape=[None, spec.length])


def stored(name: str, spec: Text, terms: int) -> StoredFeature:
    """Returns the stored ids; their cardinality counts padding and the unknown word."""
    return StoredFeature(
        name=name,
        role="feature",
        kind=spec.kind,
        dtype="int64",
        shape=(spec.length,),
        cardinality=_FIRST_TERM + terms,
    )


def _words(spec: Text, raw: tf.Tensor) -> tf.RaggedTensor:
    if spec.lower:
        raw = tf.strings.lower(raw, encoding="utf-8")
    if spec.strip_punctuation:
        raw = tf.strings.regex_replace(raw, r"\pP+", " ")
    return tf.strings.split(raw)
