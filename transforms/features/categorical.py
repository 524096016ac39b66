"""Strings and integers to ids."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

from transforms.contract.features import Categorical
from transforms.contract.manifest import StoredFeature
from transforms.requests import Fitted, Request, VocabularyRequest


def requests(name: str, spec: Categorical, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the vocabulary of the terms, string [batch]."""
    values = _with_default(spec, raw)
    return (VocabularyRequest(name, values, spec.vocabulary_size, spec.minimum_count),)


def encode(name: str, spec: Categorical, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns ids, int64 [batch]: 0 missing, then the vocabulary, then the buckets of the rest."""
    values = _with_default(spec, raw)
    ids = 1 + tft.apply_vocabulary(
        values, fitted.vocabularies[name], num_oov_buckets=spec.oov_buckets
    )
    return tf.where(values == "", tf.zeros_like(ids), ids)


def stored(name: str, spec: Categorical, terms: int) -> StoredFeature:
    """Returns the stored id; its cardinality counts the missing value and the buckets."""
    return StoredFeature(
        name=name,
        role="feature",
        kind=spec.kind,
        dtype="int64",
        shape=(),
        cardinality=1 + terms + spec.oov_buckets,
    )


def _with_default(spec: Categorical, raw: tf.Tensor) -> tf.Tensor:
    return raw if spec.default is None else tf.where(raw == "", spec.default, raw)
