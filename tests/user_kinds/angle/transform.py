from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from braid import Fitted, Learnt, Request
from tests.user_kinds.angle.declaration import Declaration


def requests(name: str, spec: Declaration, raw: tf.Tensor) -> tuple[Request, ...]:
    return ()  # nothing is learnt from the training rows


def encode(name: str, spec: Declaration, raw: tf.Tensor, fitted: Fitted) -> tf.Tensor:
    turn = raw * (math.pi / 180) if spec.unit == "degrees" else raw
    point = tf.stack([tf.sin(turn), tf.cos(turn)], axis=1)
    return tf.where(tf.math.is_finite(point), point, 0.0)  # no direction: the centre


def stored(spec: Declaration, learnt: Learnt) -> dict[str, Any]:
    return {}
