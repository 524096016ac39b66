"""The values that a user's own kind makes, held against what shards may hold.

A number that is not finite spoils more than its own feature: a layer adds it to all the others of
its row, and an activation may then hide that it was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from transforms.contract.columns.features import FeatureSpec, RawColumn
from transforms.contract.columns.kinds import is_user_kind
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import UNUSABLE_SUFFIX
from transforms.kinds.features import feature_kind
from transforms.kinds.requests import Fitted, Request, VocabularyRequest


def own_features(pipeline: PipelineSpec) -> dict[str, FeatureSpec]:
    """Returns the features of the users' kinds."""
    return {n: f for n, f in pipeline.column_features().items() if is_user_kind(f.kind)}


def finite_requests(requests: tuple[Request, ...]) -> Iterator[Request]:
    """Yields what a user's kind asks of the training rows, of finite numbers alone."""
    for request in requests:
        if isinstance(request, VocabularyRequest):
            yield request
        else:
            values = tf.where(tf.math.is_finite(request.values), request.values, np.nan)
            yield replace(request, values=values)


def encode_finite(
    name: str, spec: FeatureSpec, raw: RawColumn, values: tf.Tensor, fitted: Fitted
) -> dict[str, tf.Tensor]:
    """Returns what a user's kind stores, and which values it cannot encode, float32 [batch].

    Such a value is stored as a missing one is, in shards and in serving alike.

    Args:
        name: The feature.
        spec: Its declaration.
        raw: What the graph takes of it; where that is padded, NaN is padding in what is stored.
        values: That, [batch, *raw.shape].
        fitted: What the kind asked for.
    """
    blank = tf.constant("" if values.dtype == tf.string else np.nan, values.dtype)
    given = tf.concat([values, tf.fill([1, *raw.shape], blank)], axis=0)
    encoded = feature_kind(spec.kind).encode(name, spec, given, fitted)
    stored, missing = encoded[:-1], encoded[-1:]
    if not stored.dtype.is_floating:
        return {name: stored}
    wrong = tf.math.is_inf(stored) if raw.padded else ~tf.math.is_finite(stored)
    unusable = tf.reduce_any(wrong, axis=list(range(1, stored.shape.rank)))
    rows = tf.reshape(unusable, [-1, *[1] * (stored.shape.rank - 1)])
    return {
        name: tf.where(rows, missing, stored),
        name + UNUSABLE_SUFFIX: tf.cast(unusable, tf.float32),
    }


def check_missing(pipeline: PipelineSpec, transform: Any) -> None:
    """Refuses a user's kind for which a missing value is no finite number.

    Args:
        pipeline: The declaration.
        transform: The frozen graph's function of all raw columns.

    Raises:
        BraidError: With the kind and what it stores.
    """
    raws = (pipeline.raw_features() | pipeline.raw_targets()).values()
    outputs = transform({raw.name: _blank(raw) for raw in raws})
    for name, spec in own_features(pipeline).items():
        if _is_unusable(outputs, name):
            raise BraidError(
                f"features.{name}, kind '{spec.kind}'",
                expected="finite numbers for every value, a missing one among them",
                received=f"{np.asarray(outputs[name][0]).ravel().tolist()} for a missing value",
                action="Let its `encode` give a number where the value is NaN or the empty text.",
            )


def _is_unusable(outputs: Mapping[str, tf.Tensor], name: str) -> bool:
    flags = outputs.get(name + UNUSABLE_SUFFIX)
    return flags is not None and bool(flags[0])


def _blank(raw: RawColumn) -> tf.Tensor:
    return tf.fill([1, *raw.shape], np.float32(np.nan) if raw.dtype == "float32" else b"")
