"""The joins of the branches as a user declares them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Tag, model_validator

from transforms.contract.spec import DropoutRate, Spec, Width, refuse_uneven_heads


class FusionSpec(Spec):
    """The settings that every fusion has.

    Attributes:
        hidden: Fully connected layers after the join.
        dropout: After each of them.
        wide: Whether the heads of targets see what is joined beside what these layers make of it:
            Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016. What one feature
            says by itself then need not go through layers that mix all.
        modality_dropout: The chance that a row's branch is zeroed in training, so that the model
            still answers when that feature is missing; a row always keeps one. Neverova et al.,
            "ModDrop: Adaptive Multi-modal Gesture Recognition", 2016.
    """

    hidden: tuple[Width, ...] = (256, 256, 256)
    dropout: DropoutRate = 0.15
    wide: bool = True
    modality_dropout: DropoutRate = 0.0


class ConcatenateFusion(FusionSpec):
    """The branches side by side, then fully connected layers."""

    kind: Literal["concatenate"] = "concatenate"


class AddFusion(FusionSpec):
    """The sum of the branches, each projected to `width`."""

    kind: Literal["add"] = "add"
    width: Width = 64


class GatedFusion(FusionSpec):
    """As `add`, each projection weighted by a gate that sees every branch.

    Arevalo et al., "Gated Multimodal Units for Information Fusion", 2017.
    """

    kind: Literal["gated"] = "gated"
    width: Width = 64


class AttentionFusion(FusionSpec):
    """Self-attention over the branches as tokens of `width`, then the mean over them.

    Attributes:
        width: A token's width; a multiple of `heads`.
        heads: Attentions side by side.
    """

    kind: Literal["attention"] = "attention"
    width: Width = 64
    heads: Width = 4

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        refuse_uneven_heads(self.width, self.heads, "width")
        return self


def _fusion_kind(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("kind", "concatenate")
    return getattr(value, "kind", None)


Fusion = Annotated[
    Annotated[ConcatenateFusion, Tag("concatenate")]
    | Annotated[AddFusion, Tag("add")]
    | Annotated[GatedFusion, Tag("gated")]
    | Annotated[AttentionFusion, Tag("attention")],
    Discriminator(_fusion_kind),
]
