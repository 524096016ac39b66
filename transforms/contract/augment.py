"""Random changes to pictures as a user declares them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from transforms.contract.spec import Spec

Share = Annotated[float, Field(ge=0, le=1)]


class Augmentation(Spec):
    """How a picture is changed at random, anew at every step, in training only.

    What a shift, a turn or a zoom uncovers is filled by reflection.

    Attributes:
        flip: Mirrored half of the time along each named axis.
        rotate: The largest turn either way, as a share of a full turn.
        shift: The largest shift either way, as a share of the height and of the width.
        zoom: The largest zoom in or out, as a share; both sides alike.
        brightness: The largest change either way, as a share of 255.
        contrast: The largest change either way of the distance from the mean, as a share.
    """

    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    rotate: Share = 0.0
    shift: Share = 0.0
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self == type(self).model_construct():
            raise ValueError("at least one change, such as flip: horizontal, received none")
        return self
