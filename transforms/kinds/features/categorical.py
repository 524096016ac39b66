"""Strings and integers to ids."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from transforms.contract.columns.features import ID_PATTERN, Categorical
from transforms.kinds.requests import Fitted, Learnt, Request, VocabularyRequest

_MISSING, _FIRST_TERM = 0, 1


def usable(spec: Categorical, raw: tf.Tensor) -> tf.Tensor:
    """Returns the column with a missing value where there is no id, as reading does it.

    Args:
        spec: The declaration.
        raw: string [batch], or [batch, length], of which such a row is missing as a whole.
    """
    if spec.encoding != "identity":
        return raw
    spelt = tf.strings.regex_full_match(raw, ID_PATTERN)
    wrong = (raw != "") & ~(spelt & (_numbers(tf.where(spelt, raw, "")) < spec.buckets))
    if spec.length is not None:
        wrong = tf.reduce_any(wrong, axis=1, keepdims=True)
    return tf.where(wrong, "", raw)


def requests(name: str, spec: Categorical, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the vocabulary of the terms, if there is to be one."""
    if spec.encoding != "vocabulary":
        return ()
    values = tf.reshape(_with_default(spec, raw), [-1])
    return (VocabularyRequest(name, values, spec.vocabulary_size, spec.minimum_count),)


def encode(name: str, spec: Categorical, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns ids, int64 [batch], or [batch, length] padded with 0 at the end; 0 is missing."""
    values = _with_default(spec, raw)
    if spec.encoding == "vocabulary":
        vocabulary = fitted.vocabularies[name]
        places = tft.apply_vocabulary(values, vocabulary, num_oov_buckets=spec.oov_buckets)
    elif spec.encoding == "hash":
        places = tf.strings.to_hash_bucket_fast(values, spec.buckets)
    else:
        places = _numbers(values)
    ids = tf.where(values == "", tf.constant(_MISSING, tf.int64), _FIRST_TERM + places)
    if spec.length is None:
        return ids
    present = tf.ragged.boolean_mask(ids, ids != _MISSING)
    return present.to_tensor(_MISSING, shape=[None, spec.length])


def stored(spec: Categorical, learnt: Learnt) -> dict[str, Any]:
    """Returns the number of ids, the missing value and the buckets among them, and which terms."""
    ids = spec.buckets or len(learnt.terms) + spec.oov_buckets
    has_terms = spec.encoding == "vocabulary"
    return {"cardinality": 1 + ids, "first_term": _FIRST_TERM if has_terms else None}


def _with_default(spec: Categorical, raw: tf.Tensor) -> tf.Tensor:
    if spec.default is None:
        return raw
    missing = raw == ""
    if spec.length is not None:
        # Only of a list without any value, and there in the first place.
        nothing = tf.reduce_all(missing, axis=1, keepdims=True)
        missing = nothing & (tf.range(spec.length) == 0)
    return tf.where(missing, spec.default, raw)


def _numbers(texts: tf.Tensor) -> tf.Tensor:
    """Returns whole numbers from texts that spell them; the empty text is 0."""
    return tf.strings.to_number(tf.where(texts == "", "0", texts), tf.int64)
