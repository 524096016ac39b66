"""The result of an encoder: a vector, and the maps that it made on the way."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from trainer.network.axes import Segment


@dataclass(frozen=True)
class Encoded:
    """A feature as the rest of the model takes it. B batch, D width, H height, W width, C channels.

    Attributes:
        vector: [B, D], what is joined with the other features.
        maps: [B, H, W, C] each, for targets that are pictures, from fine to coarse: the first has
            the feature's own height and width, each next one half of that, rounded up.
        ids: What the vector's numbers stand for, where each is that of an id.
    """

    vector: keras.KerasTensor
    maps: tuple[keras.KerasTensor, ...] = ()
    ids: Segment | None = None

    def entries(self, name: str) -> Segment:
        """Returns what the vector's numbers stand for, of a feature that it is the vector of."""
        if self.ids is None:
            return Segment(name=name, size=self.vector.shape[-1])
        return self.ids.model_copy(update={"name": name})
