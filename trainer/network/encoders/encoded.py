"""What an encoder gives: a vector, and the maps that it made on the way."""

from __future__ import annotations

from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Encoded:
    """A feature as the rest of the model takes it. B batch, D width, H height, W width, C channels.

    Attributes:
        vector: [B, D], what is joined with the other features.
        maps: [B, H, W, C] each, for targets that are pictures, from fine to coarse: the first has
            the feature's own height and width, each next one half of that, rounded up.
    """

    vector: keras.KerasTensor
    maps: tuple[keras.KerasTensor, ...] = ()
