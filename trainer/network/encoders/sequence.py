"""Series to vectors. B batch, L steps, C channels, D width. NaN pads at the end."""

from __future__ import annotations

from typing import Any

import keras

from trainer.network.encoders import ordered
from transforms.contract.network.encoders import (
    Conv1dEncoder,
    GruEncoder,
    LstmEncoder,
    TransformerEncoder,
)
from transforms.contract.workspace.manifest import StoredFeature


@keras.saving.register_keras_serializable(package="braid")
class KnownSteps(keras.layers.Layer):  # type: ignore[misc]
    """True for every step, False for padding."""

    def call(self, x_BLC: Any) -> Any:
        """Returns bool [B, L]."""
        return keras.ops.logical_not(keras.ops.isnan(x_BLC[..., 0]))


@keras.saving.register_keras_serializable(package="braid")
class NoNan(keras.layers.Layer):  # type: ignore[misc]
    """The steps, and 0 for padding: NaN times a mask's 0 would be NaN."""

    def call(self, x_BLC: Any) -> Any:
        """Returns [B, L, C]."""
        return keras.ops.where(keras.ops.isnan(x_BLC), keras.ops.zeros_like(x_BLC), x_BLC)


def recurrent(
    name: str,
    spec: LstmEncoder | GruEncoder,
    stored: StoredFeature,
    x_BLC: keras.KerasTensor,
) -> keras.KerasTensor:
    """Returns the state after the last step, [B, units], or [B, 2 * units] both ways."""
    return ordered.recurrent(name, spec, *_steps(name, spec.dimension, stored, x_BLC))


def conv1d(
    name: str, spec: Conv1dEncoder, stored: StoredFeature, x_BLC: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns every last filter's strongest answer over the steps, [B, filters]."""
    return ordered.conv1d(name, spec, *_steps(name, spec.dimension, stored, x_BLC))


def transformer(
    name: str, spec: TransformerEncoder, stored: StoredFeature, x_BLC: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the mean over the steps after layers of self-attention, [B, dimension]."""
    return ordered.transformer(name, spec, *_steps(name, spec.dimension, stored, x_BLC))


def _steps(
    name: str, dimension: int | None, stored: StoredFeature, x_BLC: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor | None]:
    """Returns the steps as vectors, projected if declared, and their mask if any is padding."""
    mask_BL = None
    if stored.padded:
        mask_BL = KnownSteps(name=f"{name}.known")(x_BLC)
        x_BLC = NoNan(name=f"{name}.filled")(x_BLC)
    if dimension is None:
        return x_BLC, mask_BL
    return keras.layers.Dense(dimension, name=f"{name}.projection")(x_BLC), mask_BL
