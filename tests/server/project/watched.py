"""A user's own encoder: it writes down every batch that is learnt, slowly enough to be killed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

_SECONDS = 0.1  # so that a batch outlasts the look at the checkpoint of the one before
# A file a process: the next attempt at a training does not append to what a killed one wrote.
_LEARNT = Path(__file__).parent / "learnt" / f"{time.time_ns()}.jsonl"


def encode(stored: Any, tensor: keras.KerasTensor) -> keras.KerasTensor:
    return Watched()(keras.layers.Reshape((1,))(tensor))


@keras.saving.register_keras_serializable()
class Watched(keras.layers.Layer):
    """Gives what it takes."""

    def call(self, x: Any, training: bool | None = None) -> Any:
        if training:
            with tf.control_dependencies([tf.py_function(_write_down, [x], [])]):
                return tf.identity(x)
        return x


def _write_down(x: Any) -> None:
    _LEARNT.parent.mkdir(exist_ok=True)
    with _LEARNT.open("a") as file:
        file.write(json.dumps(x.numpy()[:, 0].tolist()) + "\n")
    time.sleep(_SECONDS)
