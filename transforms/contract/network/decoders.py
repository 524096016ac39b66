"""The way from what is joined to a target that is a picture, as a user declares it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from transforms.contract.spec import Spec, Width


class UpsamplingDecoder(Spec):
    """Starts at the coarsest maps of the pictures and doubles them up to the target's size.

    The maps are those that the `cnn` encoders of image features of the target's height and width
    make on the way to their vectors. What the fusion gives is added everywhere. Without such a
    feature, the decoder starts from the fusion alone. Ronneberger et al., "U-Net: Convolutional
    Networks for Biomedical Image Segmentation", 2015.

    Attributes:
        filters: Of the 3x3 convolution after every doubling, from coarse to fine: one for every
            pooling of the encoders. None is 16 at the finest, twice as many at each coarser one,
            at most 128.
        skips: Whether the finer maps are joined at every doubling, and not the coarsest only.
    """

    kind: Literal["upsampling"] = "upsampling"
    filters: Annotated[tuple[Width, ...], Field(min_length=1)] | None = None
    skips: bool = True
