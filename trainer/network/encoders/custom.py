"""A feature's branch by a function of the user's."""

from __future__ import annotations

from typing import Any

import keras

from trainer.network.builder import find
from transforms.contract.errors import DeclarationError
from transforms.contract.network.encoders import CustomEncoder
from transforms.contract.workspace.manifest import StoredFeature


def call(
    name: str, spec: CustomEncoder, stored: StoredFeature, tensor: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns what the declared function makes of the feature, [B, D].

    Raises:
        DeclarationError: There is no such function, or it returns something else.
    """
    place = f"model.encoders.{name}.builder"
    return _checked(find(spec.builder, place)(stored, tensor), place)


def own(name: str, stored: StoredFeature, tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Returns what the encoder of a user's own kind makes of the feature, [B, D].

    Raises:
        DeclarationError: The kind has no encoder, or it returns something else.
    """
    place = f"{stored.kind}.encoder:encode"
    return _checked(find(place, f"features.{name}.kind")(name, stored, tensor), place)


def _checked(x_BD: Any, place: str) -> keras.KerasTensor:
    if not isinstance(x_BD, keras.KerasTensor):
        raise DeclarationError(
            place,
            expected="a keras.KerasTensor",
            received=type(x_BD).__name__,
            action="Return what a Keras layer gives for the tensor that the function takes.",
        )
    is_vector = len(x_BD.shape) == 2 and x_BD.shape[0] is None and x_BD.shape[1] is not None
    if not is_vector or not x_BD.dtype.startswith(("float", "bfloat")):
        raise DeclarationError(
            place,
            expected="a floating tensor (None, D)",
            received=f"{x_BD.dtype} {tuple(x_BD.shape)}",
            action="End it with a pooling or keras.layers.Flatten, and a keras.layers.Dense.",
        )
    return x_BD
