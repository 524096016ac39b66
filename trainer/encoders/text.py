"""Words to vectors. B batch, L words, D width. Id 0 pads at the end and never counts."""

from __future__ import annotations

from typing import Any

import keras

from trainer.encoders.embedding import cardinality_of
from trainer.encoders.pooling import IdCounts, PresentMean, Weighted
from transforms.contract.features import FIRST_TERM
from transforms.contract.manifest import StoredFeature
from transforms.contract.model import (
    BagOfWordsEncoder,
    Conv1dEncoder,
    GruEncoder,
    LstmEncoder,
    TransformerEncoder,
)


@keras.saving.register_keras_serializable(package="braid")
class WordsOnly(keras.layers.Layer):  # type: ignore[misc]
    """The vectors of the words, and 0 wherever there is padding."""

    def call(self, x_BLD: Any, ids_BL: Any) -> Any:
        """Returns [B, L, D] from the vectors and the ids [B, L]."""
        return x_BLD * keras.ops.cast(keras.ops.not_equal(ids_BL, 0), x_BLD.dtype)[..., None]


@keras.saving.register_keras_serializable(package="braid")
class Places(keras.layers.Layer):  # type: ignore[misc]
    """Adds a learnt vector for the place of every word."""

    def build(self, shape: Any) -> None:
        """Makes a vector per place."""
        self.places_LD = self.add_weight(
            shape=tuple(shape[1:]), initializer=keras.initializers.RandomNormal(), name="places"
        )

    def call(self, x_BLD: Any) -> Any:
        """Returns [B, L, D]."""
        return x_BLD + keras.ops.cast(self.places_LD, x_BLD.dtype)


@keras.saving.register_keras_serializable(package="braid")
class WordMask(keras.layers.Layer):  # type: ignore[misc]
    """True for every word, and for the first place of a text without words.

    cuDNN's LSTM refuses a row that is padding from end to end.
    """

    def call(self, ids_BL: Any) -> Any:
        """Returns bool [B, L] from the ids."""
        first_L = keras.ops.equal(keras.ops.arange(ids_BL.shape[1]), 0)
        return keras.ops.logical_or(keras.ops.not_equal(ids_BL, 0), first_L)


def bag_of_words(
    name: str, spec: BagOfWordsEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns how often each term occurs, by the feature's weights if it has them, [B, D].

    D is the size of the vocabulary: padding and unknown terms are left out.
    """
    del spec  # it has no settings
    counts_BD = IdCounts(cardinality_of(stored), FIRST_TERM, name=f"{name}.counts")(ids_BL)
    if not stored.term_weights:
        return counts_BD
    weights = list(stored.term_weights[FIRST_TERM:])
    return Weighted(weights, name=f"{name}.weighted")(counts_BD)


def lstm(
    name: str, spec: LstmEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns an LSTM's state after the last word, [B, units], or [B, 2 * units] both ways."""
    return _recurrent(
        name, keras.layers.LSTM(spec.units, name=f"{name}.lstm"), spec, stored, ids_BL
    )


def gru(
    name: str, spec: GruEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns a GRU's state after the last word, [B, units], or [B, 2 * units] both ways."""
    return _recurrent(name, keras.layers.GRU(spec.units, name=f"{name}.gru"), spec, stored, ids_BL)


def conv1d(
    name: str, spec: Conv1dEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns every filter's strongest answer over the words, [B, filters]."""
    layers = keras.layers
    x_BLD = _vectors(name, spec.dimension, stored, ids_BL)
    # A window over the last word sees 0 beyond it, whatever the padding's vector is.
    x_BLD = WordsOnly(name=f"{name}.words")(x_BLD, ids_BL)
    x_BLF = layers.Conv1D(
        spec.filters, spec.kernel_size, padding="same", activation="relu", name=f"{name}.conv"
    )(x_BLD)
    # No answer is below 0, so that 0 in place of the padding never is the strongest.
    x_BLF = WordsOnly(name=f"{name}.answers")(x_BLF, ids_BL)
    return layers.GlobalMaxPooling1D(name=f"{name}.strongest")(x_BLF)


def transformer(
    name: str, spec: TransformerEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the mean over the words after layers of self-attention, [B, dimension]."""
    layers = keras.layers
    mask_BL = WordMask(name=f"{name}.mask")(ids_BL)
    x_BLD = Places(name=f"{name}.places")(_vectors(name, spec.dimension, stored, ids_BL))
    for index in range(spec.layers):
        layer = f"{name}.{index}"
        attention = layers.MultiHeadAttention(
            spec.heads, spec.dimension // spec.heads, dropout=spec.dropout, name=f"{layer}.heads"
        )
        normal_BLD = layers.LayerNormalization(name=f"{layer}.attention_norm")(x_BLD)
        more_BLD = attention(normal_BLD, normal_BLD, value_mask=mask_BL)
        more_BLD = layers.Dropout(spec.dropout, name=f"{layer}.attention_dropout")(more_BLD)
        x_BLD = layers.Add(name=f"{layer}.attended")([x_BLD, more_BLD])
        more_BLF = layers.LayerNormalization(name=f"{layer}.forward_norm")(x_BLD)
        more_BLF = layers.Dense(spec.feed_forward, "gelu", name=f"{layer}.wide")(more_BLF)
        more_BLD = layers.Dense(spec.dimension, name=f"{layer}.narrow")(more_BLF)
        more_BLD = layers.Dropout(spec.dropout, name=f"{layer}.forward_dropout")(more_BLD)
        x_BLD = layers.Add(name=f"{layer}.forwarded")([x_BLD, more_BLD])
    x_BLD = layers.LayerNormalization(name=f"{name}.norm")(x_BLD)
    return PresentMean(name=f"{name}.mean")(x_BLD, ids_BL)


def _vectors(
    name: str, dimension: int, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    return keras.layers.Embedding(cardinality_of(stored), dimension, name=f"{name}.embedding")(
        ids_BL
    )


def _recurrent(
    name: str,
    layer: keras.layers.Layer,
    spec: LstmEncoder | GruEncoder,
    stored: StoredFeature,
    ids_BL: keras.KerasTensor,
) -> keras.KerasTensor:
    x_BLD = _vectors(name, spec.dimension, stored, ids_BL)
    if spec.bidirectional:
        layer = keras.layers.Bidirectional(layer, name=f"{name}.both_ways")
    return layer(x_BLD, mask=WordMask(name=f"{name}.mask")(ids_BL))
