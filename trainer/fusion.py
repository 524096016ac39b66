"""The join of the branches. B batch, D width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from transforms.contract.model import ConcatenateFusion
from transforms.contract.spec import Spec


def concatenate(
    spec: ConcatenateFusion, branches_BD: Sequence[keras.KerasTensor]
) -> keras.KerasTensor:
    """Returns the branches side by side, through dense layers with dropout, [B, D]."""
    layers = keras.layers
    x_BD = branches_BD[0]
    if len(branches_BD) > 1:
        x_BD = layers.Concatenate(name="fusion.concatenate")(list(branches_BD))
    for index, width in enumerate(spec.hidden):
        x_BD = layers.Dense(width, activation="relu", name=f"fusion.dense_{index}")(x_BD)
        if spec.dropout:
            x_BD = layers.Dropout(spec.dropout, name=f"fusion.dropout_{index}")(x_BD)
    return x_BD


FUSIONS: dict[type[Spec], Callable[[Any, Sequence[keras.KerasTensor]], keras.KerasTensor]] = {
    ConcatenateFusion: concatenate,
}
