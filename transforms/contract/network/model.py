"""The model as a user declares it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from transforms.contract.network.augment import Augment
from transforms.contract.network.decoders import UpsamplingDecoder
from transforms.contract.network.encoders import Encoder, ImportPath
from transforms.contract.network.fusions import ConcatenateFusion, Fusion
from transforms.contract.spec import RuleBroken, Spec


class ModelSpec(Spec):
    """The network between the features and the targets.

    Attributes:
        features: The declared features that this model takes; None takes all. Declarations that
            differ in this choice share their shards.
        targets: The declared targets that it predicts; None predicts all.
        encoders: An encoder per feature; a feature that is not named here gets its kind's default.
        augment: Random changes to pictures, in training only: of an image feature under its name,
            or, with `columns`, the same geometry for several, features and targets, under any
            other name.
        fusion: How the branches are joined.
        decoders: A decoder per target that is a picture; each has a default.
        builder: "package.module:function" of a function that builds the model instead. It is
            called with the pipeline and its transform manifest and returns a `keras.Model` that
            takes a dict of the stored features and returns a dict with every target.
    """

    features: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    targets: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    encoders: dict[str, Encoder] = {}
    augment: Augment = {}
    fusion: Fusion = ConcatenateFusion()
    decoders: dict[str, UpsamplingDecoder] = {}
    builder: ImportPath | None = None

    @model_validator(mode="after")
    def _builder_stands_alone(self) -> Self:
        if self.builder is not None and (self.encoders or self.decoders):
            raise RuleBroken(
                expected="either a builder or encoders and decoders, as a builder makes the whole "
                "network",
                received="a builder and one of these",
            )
        return self

    @property
    def has_user_code(self) -> bool:
        """Whether a function of the user builds the model or a part of it."""
        return self.builder is not None or any(e.user_function for e in self.encoders.values())
