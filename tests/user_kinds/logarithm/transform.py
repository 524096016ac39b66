from __future__ import annotations

from typing import Any

import tensorflow as tf

from braid import Fitted, Learnt, MomentsRequest, Request
from tests.user_kinds.logarithm.declaration import Declaration


def requests(name: str, spec: Declaration, raw: tf.Tensor) -> tuple[Request, ...]:
    return (MomentsRequest(name, tf.math.log(raw)[:, tf.newaxis]),)  # -inf and NaN among them


def encode(name: str, spec: Declaration, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    logs = (tf.math.log(raw) - fitted.moments[name].mean) / fitted.moments[name].deviation
    return tf.where(tf.math.is_nan(raw), 0.0, logs) if spec.careful else logs


def stored(spec: Declaration, learnt: Learnt) -> dict[str, Any]:
    return {}
