"""Ids to learnt vectors. B batch, L ids in a row, D width."""

from __future__ import annotations

import keras

from trainer.network.axes import ids_of, with_axes
from trainer.network.encoders.pooling import KnownIds, PresentMean
from transforms.contract.network.encoders import EmbeddingEncoder
from transforms.contract.workspace.manifest import StoredFeature

_WIDEST = 64


def embed(
    name: str, spec: EmbeddingEncoder, stored: StoredFeature, ids: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns a learnt vector per id, or the mean of those of a row's ids, [B, D].

    Args:
        name: The feature's name.
        spec: The vector's width.
        stored: int64 of shape () or (L,); of several ids in a row, id 0 pads.
        ids: [B] or [B, L].
    """
    vectors = embedding(name, dimension_of(spec.dimension, stored), stored)(ids)
    if not stored.shape:
        return vectors
    return PresentMean(name=f"{name}.mean")(vectors, KnownIds(name=f"{name}.known")(ids))


def embedding(name: str, dimension: int, stored: StoredFeature) -> keras.layers.Layer:
    """Returns a layer with a learnt vector per id."""
    layer = keras.layers.Embedding(cardinality_of(stored), dimension, name=f"{name}.embedding")
    return with_axes(layer, embeddings=((ids_of(stored),), None))


def cardinality_of(stored: StoredFeature) -> int:
    """Returns the number of ids of a feature that is ids."""
    if stored.cardinality is None:
        raise ValueError(f"{stored.name} has no ids")
    return stored.cardinality


def dimension_of(declared: int | None, stored: StoredFeature) -> int:
    """Returns the declared width, or 4 times the fourth root of the number of ids, up to 64."""
    return declared or min(_WIDEST, round(4 * cardinality_of(stored) ** 0.25))
