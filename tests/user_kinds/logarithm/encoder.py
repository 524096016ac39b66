from __future__ import annotations

import keras

from braid import StoredFeature


def encode(name: str, stored: StoredFeature, number: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Dense(4, activation="relu", name=f"{name}.dense")(number[:, None])
