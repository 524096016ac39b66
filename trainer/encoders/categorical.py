"""Categories to vectors. B batch, D width."""

from __future__ import annotations

import keras

from trainer.encoders.embedding import cardinality_of, dimension_of
from transforms.contract.manifest import StoredFeature
from transforms.contract.model import EmbeddingEncoder, OneHotEncoder


def embed(
    name: str, spec: EmbeddingEncoder, stored: StoredFeature, ids_B: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns a learnt vector per id, [B, D]."""
    return keras.layers.Embedding(
        cardinality_of(stored), dimension_of(spec.dimension, stored), name=f"{name}.embedding"
    )(ids_B)


def one_hot(
    name: str, spec: OneHotEncoder, stored: StoredFeature, ids_B: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns one input per id, [B, ids]."""
    del spec  # it has no settings
    return keras.layers.CategoryEncoding(
        cardinality_of(stored), output_mode="one_hot", name=f"{name}.one_hot"
    )(ids_B)
