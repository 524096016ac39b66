"""Categories to vectors. B batch, L categories in a row, D width."""

from __future__ import annotations

import keras

from trainer.network.axes import ids_of
from trainer.network.encoders.embedding import cardinality_of
from trainer.network.encoders.encoded import Encoded
from trainer.network.encoders.pooling import IdCounts
from transforms.contract.network.encoders import OneHotEncoder
from transforms.contract.workspace.manifest import StoredFeature


def one_hot(
    name: str, spec: OneHotEncoder, stored: StoredFeature, ids: keras.KerasTensor
) -> Encoded:
    """Returns one input per id; for a list, 1 for every id that it has, the padding apart.

    Args:
        name: The feature's name.
        spec: It has no settings.
        stored: int64 of shape () or (L,).
        ids: [B] or [B, L].

    Returns:
        float [B, ids], or [B, ids - 1] for a list.
    """
    del spec
    if not stored.shape:
        one_hot_BD = keras.layers.CategoryEncoding(
            cardinality_of(stored), output_mode="one_hot", name=f"{name}.one_hot"
        )(ids)
        return Encoded(one_hot_BD, ids=ids_of(stored))
    counts_BD = IdCounts(cardinality_of(stored), 1, name=f"{name}.counts")(ids)
    multi_hot_BD = keras.layers.ReLU(max_value=1.0, name=f"{name}.multi_hot")(counts_BD)
    return Encoded(multi_hot_BD, ids=ids_of(stored, first=1))
