"""Words to vectors. B batch, L words, D width. Id 0 pads at the end and never counts."""

from __future__ import annotations

from typing import Any

import keras

from trainer.encoders import ordered
from trainer.encoders.embedding import cardinality_of, dimension_of
from transforms.contract.manifest import StoredFeature
from transforms.contract.model import (
    Conv1dEncoder,
    EmbeddingEncoder,
    GruEncoder,
    LstmEncoder,
    TransformerEncoder,
)

_DIMENSION = 64  # of a word's vector, where the declaration names none


@keras.saving.register_keras_serializable(package="braid")
class KnownWords(keras.layers.Layer):  # type: ignore[misc]
    """True for every word, False for padding."""

    def call(self, ids_BL: Any) -> Any:
        """Returns bool [B, L]."""
        return keras.ops.not_equal(ids_BL, 0)


def average(
    name: str, spec: EmbeddingEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the mean of the words' learnt vectors, [B, D]."""
    return ordered.mean(name, *_words(name, dimension_of(spec.dimension, stored), stored, ids_BL))


def recurrent(
    name: str,
    spec: LstmEncoder | GruEncoder,
    stored: StoredFeature,
    ids_BL: keras.KerasTensor,
) -> keras.KerasTensor:
    """Returns the state after the last word, [B, units], or [B, 2 * units] both ways."""
    return ordered.recurrent(
        name, spec, *_words(name, spec.dimension or _DIMENSION, stored, ids_BL)
    )


def conv1d(
    name: str, spec: Conv1dEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns every last filter's strongest answer over the words, [B, filters]."""
    return ordered.conv1d(name, spec, *_words(name, spec.dimension or _DIMENSION, stored, ids_BL))


def transformer(
    name: str, spec: TransformerEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the mean over the words after layers of self-attention, [B, dimension]."""
    return ordered.transformer(name, spec, *_words(name, spec.dimension, stored, ids_BL))


def _words(
    name: str, dimension: int, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns the words' learnt vectors [B, L, D] and their mask."""
    embed = keras.layers.Embedding(cardinality_of(stored), dimension, name=f"{name}.embedding")
    return embed(ids_BL), KnownWords(name=f"{name}.known")(ids_BL)
