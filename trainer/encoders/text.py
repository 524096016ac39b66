"""Words to vectors. B batch, L words, D width. Id 0 pads at the end and never counts."""

from __future__ import annotations

from typing import Any

import keras

from trainer.encoders.embedding import cardinality_of, dimension_of
from transforms.contract.manifest import StoredFeature
from transforms.contract.model import EmbeddingEncoder, LstmEncoder


@keras.saving.register_keras_serializable(package="braid")
class WordMean(keras.layers.Layer):  # type: ignore[misc]
    """The mean of the vectors of the words; 0 for a text without words.

    Keras's own average pooling divides by 0 there.
    """

    def call(self, x_BLD: Any, ids_BL: Any) -> Any:
        """Returns [B, D] from the vectors [B, L, D] and the ids [B, L]."""
        mask_BL1 = keras.ops.cast(keras.ops.not_equal(ids_BL, 0), x_BLD.dtype)[..., None]
        words_B1 = keras.ops.maximum(keras.ops.sum(mask_BL1, axis=1), 1)
        return keras.ops.sum(x_BLD * mask_BL1, axis=1) / words_B1


@keras.saving.register_keras_serializable(package="braid")
class WordMask(keras.layers.Layer):  # type: ignore[misc]
    """True for every word, and for the first place of a text without words.

    cuDNN's LSTM refuses a row that is padding from end to end.
    """

    def call(self, ids_BL: Any) -> Any:
        """Returns bool [B, L] from the ids."""
        first_L = keras.ops.equal(keras.ops.arange(ids_BL.shape[1]), 0)
        return keras.ops.logical_or(keras.ops.not_equal(ids_BL, 0), first_L)


def average(
    name: str, spec: EmbeddingEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the mean of the words' learnt vectors, [B, D]."""
    x_BLD = keras.layers.Embedding(
        cardinality_of(stored), dimension_of(spec.dimension, stored), name=f"{name}.embedding"
    )(ids_BL)
    return WordMean(name=f"{name}.mean")(x_BLD, ids_BL)


def lstm(
    name: str, spec: LstmEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns an LSTM's state after the last word, [B, units], or [B, 2 * units] both ways."""
    x_BLD = keras.layers.Embedding(
        cardinality_of(stored), spec.dimension, name=f"{name}.embedding"
    )(ids_BL)
    layer = keras.layers.LSTM(spec.units, name=f"{name}.lstm")
    if spec.bidirectional:
        layer = keras.layers.Bidirectional(layer, name=f"{name}.both_ways")
    return layer(x_BLD, mask=WordMask(name=f"{name}.mask")(ids_BL))
