"""Numbers to vectors. B batch, D width, L numbers in a row."""

from __future__ import annotations

import keras

from trainer.encoders.embedding import cardinality_of
from transforms.contract.encoders import DenseEncoder
from transforms.contract.manifest import StoredFeature


def dense(
    name: str, spec: DenseEncoder, stored: StoredFeature, values: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns numbers, or the one-hot vectors of their buckets, through dense layers.

    Args:
        name: The feature's name.
        spec: The dense layers.
        stored: float32 for numbers, int64 for buckets; shape () or (L,).
        values: [B] or [B, L].

    Returns:
        float [B, D].
    """
    if stored.dtype == "int64":
        values = keras.layers.CategoryEncoding(
            cardinality_of(stored), output_mode="one_hot", name=f"{name}.one_hot"
        )(values)
    x_BD = keras.layers.Reshape((-1,), name=f"{name}.flat")(values)
    for index, units in enumerate(spec.units):
        x_BD = keras.layers.Dense(units, activation="relu", name=f"{name}.dense_{index}")(x_BD)
    return x_BD
