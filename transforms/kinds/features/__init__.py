"""How each feature kind is analyzed, transformed and stored; a kind is one module and one line."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from transforms.contract.columns.kinds import is_user_kind, user_module
from transforms.kinds.features import calendar_parts, categorical, image, numeric, sequence, text
from transforms.kinds.requests import Fitted, Learnt, Request


class FeatureKind(Protocol):
    """The transform of one kind."""

    def requests(self, name: str, spec: Any, raw: tf.Tensor) -> tuple[Request, ...]:
        """Returns what the kind needs to know of the training rows."""
        ...

    def encode(self, name: str, spec: Any, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
        """Returns what is stored, as TFT can carry it: string, int64 or float32 [batch, ...]."""
        ...

    def stored(self, spec: Any, learnt: Learnt) -> dict[str, Any]:
        """Returns what `StoredFeature` says of it beside name, role, kind, dtype and shape."""
        ...


FEATURE_KINDS: dict[str, FeatureKind] = {
    "categorical": categorical,
    "numeric": numeric,
    "datetime": calendar_parts,
    "text": text,
    "image": image,
    "sequence": sequence,
}


def feature_kind(kind: str) -> FeatureKind:
    """Returns the transform of a kind, a user's own among them."""
    if is_user_kind(kind):
        module: FeatureKind = user_module(kind, "transform")
        return module
    return FEATURE_KINDS[kind]
