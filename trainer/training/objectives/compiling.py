"""The options of `compile` that the objectives have in common."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf


def jit_compile() -> Literal["auto"] | bool:
    """Returns whether Keras may compile a step with XLA.

    That pays on a GPU; on a CPU its compilation costs more than these models' steps save.
    """
    return "auto" if tf.config.list_physical_devices("GPU") else False
