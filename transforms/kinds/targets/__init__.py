"""The transforms of the target kinds; a kind is one module and one line."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from transforms.contract.workspace.manifest import TargetStatistics
from transforms.kinds.requests import Fitted, Learnt, Request
from transforms.kinds.targets import binary, image, multiclass, multilabel, numeric, sequence


class TargetKind(Protocol):
    """The transform of one kind."""

    def requests(self, name: str, spec: Any, raw: tf.Tensor) -> tuple[Request, ...]:
        """Returns what the kind needs to know of the training rows."""
        ...

    def encode(
        self, name: str, spec: Any, raw: tf.Tensor, fitted: Fitted
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the label, and whether there is one, bool [batch]."""
        ...

    def statistics(self, spec: Any, learnt: Learnt) -> TargetStatistics:
        """Returns what the training rows say of the target."""
        ...

    def labelled(self, learnt: Learnt, rows: int) -> int:
        """Returns how many training rows have a label, all of `rows` where nothing was counted."""
        ...

    def stored(self, spec: Any, learnt: Learnt) -> dict[str, Any]:
        """Returns what `StoredFeature` says of it beside name, role, kind, dtype and shape."""
        ...


TARGET_KINDS: dict[str, TargetKind] = {
    "binary": binary,
    "multiclass": multiclass,
    "numeric": numeric,
    "image": image,
    "multilabel": multilabel,
    "sequence": sequence,
}
