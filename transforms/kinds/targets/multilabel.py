"""Lists of labels to class ids."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from transforms.columns.unusable import NO_LABEL
from transforms.contract.columns.targets import Multilabel
from transforms.contract.workspace.manifest import TargetStatistics
from transforms.kinds.requests import Fitted, Learnt, Request, VocabularyRequest


def requests(name: str, spec: Multilabel, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the vocabulary of the labels; they become the classes, the most frequent first."""
    return (VocabularyRequest(name, raw, spec.vocabulary_size, minimum_count=1),)


def encode(
    name: str, spec: Multilabel, raw: tf.Tensor, fitted: Fitted
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns class ids from 1, int64 [batch, length], padded with 0.

    A row has a label set, which may be empty, if none of its labels is new to the training rows.
    """
    classes = tft.apply_vocabulary(raw, fitted.vocabularies[name], default_value=-1)
    no_class = (raw == "") | (raw == NO_LABEL)
    known = tf.reduce_any(raw != "", axis=1) & tf.reduce_all((classes >= 0) | no_class, axis=1)
    return tf.maximum(classes + 1, 0), known


def statistics(spec: Multilabel, learnt: Learnt) -> TargetStatistics:
    """Returns the classes, the most frequent first."""
    return TargetStatistics(labels=learnt.terms, counts=learnt.counts)


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns all rows, as a row may have several labels or none."""
    return rows


def stored(spec: Multilabel, learnt: Learnt) -> dict[str, Any]:
    """Returns the number of classes."""
    return {"cardinality": len(learnt.terms)}
