"""Texts to the ids of their terms: words or characters, or sequences of them."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from transforms.contract.columns.features import FIRST_TERM, Text
from transforms.kinds.requests import Fitted, Learnt, MomentsRequest, Request, VocabularyRequest

_PADDING, _UNKNOWN = 0, 1


def requests(name: str, spec: Text, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the vocabulary of the terms; for weights, by the rows that have a term.

    The moments of the rows' numbers of terms say how many rows there are.
    """
    terms = _terms(spec, raw)
    if spec.weights is None:
        values = terms.flat_values
        return (VocabularyRequest(name, values, spec.vocabulary_size, spec.minimum_count),)
    lengths = tf.cast(terms.row_lengths(), tf.float32)[:, tf.newaxis]
    return (
        VocabularyRequest(name, _distinct(terms), spec.vocabulary_size, spec.minimum_count),
        MomentsRequest(name, lengths),
    )


def encode(name: str, spec: Text, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    """Returns term ids, int64 [batch, length], padded with 0 at the end."""
    terms = _terms(spec, raw)[:, : spec.length]
    places = tft.apply_vocabulary(terms.flat_values, fitted.vocabularies[name], default_value=-1)
    ids = tf.where(places < 0, tf.constant(_UNKNOWN, tf.int64), places + FIRST_TERM)
    return terms.with_flat_values(ids).to_tensor(_PADDING, shape=[None, spec.length])


def cut_rows(spec: Text, raw: tf.Tensor) -> tf.Tensor:
    """Returns how many rows have more terms than are kept, int64 []."""
    return tf.math.count_nonzero(_terms(spec, raw).row_lengths() > spec.length)


def stored(spec: Text, learnt: Learnt) -> dict[str, Any]:
    """Returns the number of ids, padding and the unknown term among them, and their weights."""
    return {
        "cardinality": FIRST_TERM + len(learnt.terms),
        "first_term": FIRST_TERM,
        "term_weights": () if spec.weights is None else _inverse_frequencies(learnt),
    }


def _inverse_frequencies(learnt: Learnt) -> tuple[float, ...]:
    """Returns a weight per id: what few of the rows have weighs more.

    Spärck Jones, "A Statistical Interpretation of Term Specificity and Its Application in
    Retrieval", 1972; smoothed as if one more row had every term, and never 0.
    """

    def weight(rows: int) -> float:
        return math.log((1 + learnt.rows) / (1 + rows)) + 1

    return (0.0, weight(0), *map(weight, learnt.counts))


def _terms(spec: Text, raw: tf.Tensor) -> tf.RaggedTensor:
    if spec.lower:
        raw = tf.strings.lower(raw, encoding="utf-8")
    if spec.strip_punctuation:
        raw = tf.strings.regex_replace(raw, r"\pP+", " ")
    if spec.level == "words":
        parts, separator = tf.strings.split(raw), " "
    else:
        spaced = tf.strings.strip(tf.strings.regex_replace(raw, r"[\s\v]+", " "))
        parts, separator = tf.strings.unicode_split(spaced, "UTF-8"), ""
    return parts if spec.ngrams == 1 else _ngrams(parts, spec.ngrams, separator)


def _ngrams(parts: tf.RaggedTensor, longest: int, separator: str) -> tf.RaggedTensor:
    """Returns all sequences of 1 to `longest` neighbours, in the order of their first part."""
    texts, rows = parts.flat_values, parts.value_rowids()
    # Texts of all rows stand behind each other: a sequence has to end in the row it began in.
    terms, whole = [texts], [tf.ones_like(rows, tf.bool)]
    for step in range(1, longest):
        beyond = tf.minimum(step, tf.size(texts))
        last = tf.concat([texts[step:], tf.fill([beyond], "")], axis=0)
        last_rows = tf.concat([rows[step:], tf.fill([beyond], tf.constant(-1, rows.dtype))], axis=0)
        terms.append(tf.strings.join([terms[-1], last], separator))
        whole.append(rows == last_rows)
    kept = tf.stack(whole, axis=1)
    rows_of_terms = tf.repeat(rows[:, tf.newaxis], longest, axis=1)
    return tf.RaggedTensor.from_value_rowids(
        tf.boolean_mask(tf.stack(terms, axis=1), kept),
        tf.boolean_mask(rows_of_terms, kept),
        nrows=parts.nrows(),
        validate=False,
    )


def _distinct(terms: tf.RaggedTensor) -> tf.Tensor:
    """Returns every row's terms once, string [any]."""
    texts, numbers = tf.unique(terms.flat_values, tf.int64)
    count = tf.maximum(tf.size(texts, tf.int64), 1)
    pairs, _ = tf.unique(terms.value_rowids() * count + numbers)
    return tf.gather(texts, pairs % count)
