from __future__ import annotations

import keras

from braid import StoredFeature


def encode(name: str, stored: StoredFeature, point: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Dense(8, activation="relu", name=f"{name}.dense")(point)
