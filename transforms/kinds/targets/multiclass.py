"""Labels to class ids."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from transforms.contract.columns.targets import Multiclass
from transforms.contract.workspace.manifest import TargetStatistics
from transforms.kinds.requests import Fitted, Learnt, Request, VocabularyRequest


def requests(name: str, spec: Multiclass, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks for the vocabulary of the labels; they become the classes, the most frequent first."""
    return (VocabularyRequest(name, raw, spec.vocabulary_size, minimum_count=1),)


def encode(
    name: str,
    spec: Multiclass,
    raw: tf.Tensor,
    fitted: Fitted,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns class ids, int64 [batch], and whether the training rows have the label."""
    classes = tft.apply_vocabulary(raw, fitted.vocabularies[name], default_value=-1)
    return tf.maximum(classes, 0), classes >= 0


def statistics(spec: Multiclass, learnt: Learnt) -> TargetStatistics:
    """Returns the classes, the most frequent first."""
    return TargetStatistics(labels=learnt.terms, counts=learnt.counts)


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns the rows with a class that was kept."""
    return sum(learnt.counts)


def stored(spec: Multiclass, learnt: Learnt) -> dict[str, Any]:
    """Returns the number of classes."""
    return {"cardinality": len(learnt.terms)}
