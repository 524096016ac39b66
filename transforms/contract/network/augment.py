"""Random changes to pictures as a user declares them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from transforms.contract.spec import RuleBroken, Spec

Share = Annotated[float, Field(ge=0, le=1)]


class Geometry(Spec):
    """Random changes of the places of pixels.

    What a shift, a turn or a zoom uncovers is filled by reflection.

    Attributes:
        flip: Mirrored half of the time along each named axis.
        rotate: The largest turn either way, as a share of a full turn.
        shift: The largest shift either way, as a share of the height and of the width.
        zoom: The largest zoom in or out, as a share; both sides alike.
        shear: The largest slant along each axis: how many pixels a line moves against its
            neighbour, so that 0.2 slants by 11 degrees.
        interpolation: Between pixels. Those of a mask target are never interpolated.
    """

    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    rotate: Share = 0.0
    shift: Share = 0.0
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0
    shear: Share = 0.0
    interpolation: Literal["bilinear", "nearest"] = "bilinear"

    @property
    def moves_pixels(self) -> bool:
        """Whether any change of places is declared."""
        return bool(self.flip or self.rotate or self.shift or self.zoom or self.shear)


class Augmentation(Geometry):
    """Random changes of a picture, anew at every step, in training only.

    Attributes:
        brightness: The largest change either way, as a share of 255.
        contrast: The largest change either way of the distance from the mean, as a share.
    """

    brightness: Share = 0.0
    contrast: Share = 0.0

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.moves_pixels or self.brightness or self.contrast):
            raise RuleBroken(
                expected="at least one change, such as flip: horizontal", received="none"
            )
        return self


class AlignedGeometry(Geometry):
    """One random geometry for several pictures of a row: a picture, its depth map, its mask.

    Attributes:
        columns: Image features and image targets of one size.
    """

    columns: Annotated[tuple[str, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.moves_pixels:
            raise RuleBroken(
                expected="at least one change, such as flip: horizontal", received="none"
            )
        return self


def _changed(value: Any) -> str:
    several = "columns" in value if isinstance(value, dict) else hasattr(value, "columns")
    return "several" if several else "single"


# Under an image feature's name its own changes; with `columns`, under any name, those of several.
Augment = dict[
    Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)],
    Annotated[
        Annotated[Augmentation, Tag("single")] | Annotated[AlignedGeometry, Tag("several")],
        Discriminator(_changed),
    ],
]
