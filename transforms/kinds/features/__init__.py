"""The transforms of the feature kinds; a kind is one module and one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from transforms.contract.columns.kinds import is_user_kind, user_module
from transforms.kinds.features import (
    calendar_parts,
    categorical,
    image,
    noise,
    numeric,
    sequence,
    text,
)
from transforms.kinds.requests import Fitted, Learnt, MomentsRequest, QuantilesRequest, Request


class StoredKind(Protocol):
    """A kind as its shards and the trainer know it."""

    def stored(self, spec: Any, learnt: Learnt) -> dict[str, Any]:
        """Returns what `StoredFeature` says of it beside name, role, kind, dtype and shape."""
        ...


class FeatureKind(StoredKind, Protocol):
    """The transform of one kind that a column feeds."""

    def requests(self, name: str, spec: Any, raw: tf.Tensor) -> tuple[Request, ...]:
        """Returns what the kind needs to know of the training rows."""
        ...

    def encode(self, name: str, spec: Any, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
        """Returns what is stored, as TFT can carry it: string, int64 or float32 [batch, ...]."""
        ...


class PackedKind(FeatureKind, Protocol):
    """The transform of a kind of one number that takes several features, [batch, features]."""

    def requests(
        self, name: str, spec: Any, raw: tf.Tensor
    ) -> tuple[MomentsRequest | QuantilesRequest, ...]:
        """Returns what the kind needs to know of the training rows, of each column."""
        ...


FEATURE_KINDS: dict[str, FeatureKind] = {
    "categorical": categorical,
    "numeric": numeric,
    "datetime": calendar_parts,
    "text": text,
    "image": image,
    "sequence": sequence,
}
# Kinds that no column feeds.
DRAWN_KINDS: dict[str, StoredKind] = {"noise": noise}
PACKED_KINDS: dict[str, PackedKind] = {"numeric": numeric}
# What else some kinds do with a column, [batch, ...]. Of texts, some are of no use: numbers show by
# themselves that they are not finite, and a picture fails its request.
USABLE: dict[str, Callable[[Any, tf.Tensor], tf.Tensor]] = {
    "categorical": categorical.usable,
    "datetime": calendar_parts.usable,
}
CUT_ROWS: dict[str, Callable[[Any, tf.Tensor], tf.Tensor]] = {"text": text.cut_rows}


def feature_kind(kind: str) -> FeatureKind:
    """Returns the transform of a kind, a user's own among them."""
    if is_user_kind(kind):
        module: FeatureKind = user_module(kind, "transform")
        return module
    return FEATURE_KINDS[kind]


def stored_kind(kind: str) -> StoredKind:
    """Returns what shards and trainer know of any kind, with or without a column."""
    return DRAWN_KINDS.get(kind) or feature_kind(kind)
