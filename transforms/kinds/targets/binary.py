"""Yes or no to 1 or 0."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from transforms.columns.unusable import TRUE_TEXTS
from transforms.contract.columns.targets import Binary
from transforms.contract.workspace.manifest import TargetStatistics
from transforms.kinds.requests import Fitted, Learnt, Request, VocabularyRequest


def requests(name: str, spec: Binary, raw: tf.Tensor) -> tuple[Request, ...]:
    """Asks how often "0" and "1" occur."""
    label, known = _label(spec, raw)
    texts = tf.where(known, tf.strings.as_string(label), "")
    return (VocabularyRequest(name, texts, size=2, minimum_count=1),)


def encode(
    name: str,
    spec: Binary,
    raw: tf.Tensor,
    fitted: Fitted,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns 0 or 1, float32 [batch], and whether the value is known."""
    label, known = _label(spec, raw)
    return tf.cast(label, tf.float32), known


def statistics(spec: Binary, learnt: Learnt) -> TargetStatistics:
    """Returns the classes "0" and "1", in this order whichever is more frequent."""
    counts = dict(zip(learnt.terms, learnt.counts, strict=True))
    return TargetStatistics(labels=("0", "1"), counts=(counts.get("0", 0), counts.get("1", 0)))


def labelled(learnt: Learnt, rows: int) -> int:
    """Returns the rows with either class."""
    return sum(learnt.counts)


def stored(spec: Binary, learnt: Learnt) -> dict[str, Any]:
    """Returns nothing."""
    return {}


def _label(spec: Binary, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    known = raw != ""
    if spec.positive is not None:
        return tf.cast(raw == spec.positive, tf.int64), known
    yes = tf.reduce_any(raw[:, tf.newaxis] == tf.constant(TRUE_TEXTS), axis=1)
    return tf.cast(yes, tf.int64), known
