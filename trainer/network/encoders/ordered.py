"""Encoders that read vectors in order, be they words or the steps of a series.

B batch, L words or steps, D width. Padding stands at the end; a mask is True for what is none. No
mask means that no row has padding.
"""

from __future__ import annotations

from typing import Any

import keras

from trainer.network.dropout import Dropout
from trainer.network.encoders.pooling import PresentMean
from trainer.network.sums import Beside
from transforms.contract.network.encoders import (
    Conv1dEncoder,
    GruEncoder,
    LstmEncoder,
    TransformerEncoder,
)


@keras.saving.register_keras_serializable(package="braid")
class ZeroPadding(keras.layers.Layer):  # type: ignore[misc]
    """The vectors, and 0 wherever there is padding."""

    def call(self, x_BLD: Any, mask_BL: Any) -> Any:
        """Returns [B, L, D] from the vectors and the mask [B, L]."""
        return x_BLD * keras.ops.cast(mask_BL, x_BLD.dtype)[..., None]


@keras.saving.register_keras_serializable(package="braid")
class NeverEmpty(keras.layers.Layer):  # type: ignore[misc]
    """The mask, with the first place of every row in it.

    cuDNN's LSTM refuses a row that is padding from end to end.
    """

    def call(self, mask_BL: Any) -> Any:
        """Returns bool [B, L] from the mask."""
        first_L = keras.ops.equal(keras.ops.arange(mask_BL.shape[1]), 0)
        return keras.ops.logical_or(mask_BL, first_L)


@keras.saving.register_keras_serializable(package="braid")
class Places(keras.layers.Layer):  # type: ignore[misc]
    """Adds a learnt vector for the place of every word or step."""

    def build(self, shape: Any) -> None:
        """Makes a vector per place."""
        self.places_LD = self.add_weight(
            shape=tuple(shape[1:]), initializer=keras.initializers.RandomNormal(), name="places"
        )

    def call(self, x_BLD: Any) -> Any:
        """Returns [B, L, D]."""
        return x_BLD + keras.ops.cast(self.places_LD, x_BLD.dtype)


def mean(
    name: str, x_BLD: keras.KerasTensor, mask_BL: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Returns the mean of the vectors, [B, D]."""
    if mask_BL is None:
        return keras.layers.GlobalAveragePooling1D(name=f"{name}.mean")(x_BLD)
    return PresentMean(name=f"{name}.mean")(x_BLD, mask_BL)


def recurrent(
    name: str,
    spec: LstmEncoder | GruEncoder,
    x_BLD: keras.KerasTensor,
    mask_BL: keras.KerasTensor | None,
) -> keras.KerasTensor:
    """Returns the state after the last vector, [B, units], or [B, 2 * units] both ways."""
    layer = _CELLS[type(spec)](spec.units, name=f"{name}.{spec.kind}")
    if spec.bidirectional:
        layer = keras.layers.Bidirectional(layer, name=f"{name}.both_ways")
    if mask_BL is None:
        return layer(x_BLD)
    return layer(x_BLD, mask=NeverEmpty(name=f"{name}.mask")(mask_BL))


_CELLS = {LstmEncoder: keras.layers.LSTM, GruEncoder: keras.layers.GRU}


def conv1d(
    name: str, spec: Conv1dEncoder, x_BLD: keras.KerasTensor, mask_BL: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Returns every last filter's strongest answer, [B, filters]."""
    layers = keras.layers
    filters = spec.filters if isinstance(spec.filters, tuple) else (spec.filters,)
    for index, count in enumerate(filters):
        block = f"{name}.{index}"
        if index:
            x_BLD = layers.MaxPooling1D(2, padding="same", name=f"{block}.halved")(x_BLD)
            mask_BL = None if mask_BL is None else mask_BL[:, ::2]
        if mask_BL is not None:
            # A filter over the last vector sees 0 beyond it, whatever the padding's vector is.
            x_BLD = ZeroPadding(name=f"{block}.inputs")(x_BLD, mask_BL)
        x_BLD = layers.Conv1D(
            count, spec.kernel_size, padding="same", activation="relu", name=f"{block}.conv"
        )(x_BLD)
        if mask_BL is not None:
            # No answer is below 0, so that 0 in place of the padding never is the strongest.
            x_BLD = ZeroPadding(name=f"{block}.answers")(x_BLD, mask_BL)
    return layers.GlobalMaxPooling1D(name=f"{name}.strongest")(x_BLD)


def transformer(
    name: str, spec: TransformerEncoder, x_BLD: keras.KerasTensor, mask_BL: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Returns the mean after layers of self-attention over vectors of width `dimension`, [B, D]."""
    layers = keras.layers
    attended_BL = None if mask_BL is None else NeverEmpty(name=f"{name}.mask")(mask_BL)
    x_BLD = Places(name=f"{name}.places")(x_BLD)
    for index in range(spec.layers):
        layer = f"{name}.{index}"
        attention = layers.MultiHeadAttention(
            spec.heads, spec.dimension // spec.heads, dropout=spec.dropout, name=f"{layer}.heads"
        )
        beside_BLD = Beside(name=f"{layer}.beside_attention")(x_BLD)
        normal_BLD = layers.LayerNormalization(name=f"{layer}.attention_norm")(beside_BLD)
        more_BLD = attention(normal_BLD, normal_BLD, value_mask=attended_BL)
        more_BLD = Dropout(spec.dropout, name=f"{layer}.attention_dropout")(more_BLD)
        x_BLD = layers.Add(name=f"{layer}.attended")([x_BLD, more_BLD])
        beside_BLD = Beside(name=f"{layer}.beside_forward")(x_BLD)
        more_BLF = layers.LayerNormalization(name=f"{layer}.forward_norm")(beside_BLD)
        more_BLF = layers.Dense(spec.feed_forward, "gelu", name=f"{layer}.wide")(more_BLF)
        more_BLD = layers.Dense(spec.dimension, name=f"{layer}.narrow")(more_BLF)
        more_BLD = Dropout(spec.dropout, name=f"{layer}.forward_dropout")(more_BLD)
        x_BLD = layers.Add(name=f"{layer}.forwarded")([x_BLD, more_BLD])
    x_BLD = layers.LayerNormalization(name=f"{name}.norm")(x_BLD)
    return mean(name, x_BLD, mask_BL)
