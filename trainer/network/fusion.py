"""The join of the branches: one function per fusion, picked by one table.

B batch, N branches, D width of a branch, W width that all are projected to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from trainer.network.axes import Segment, Vector, with_axes
from trainer.network.dropout import Dropout
from trainer.network.sums import Beside
from transforms.contract.network.fusions import (
    AddFusion,
    AttentionFusion,
    ConcatenateFusion,
    FusionSpec,
    GatedFusion,
)

Branches = Sequence[Vector]


@keras.saving.register_keras_serializable(package="braid")
class ModalityDropout(keras.layers.Layer):  # type: ignore[misc]
    """Zeroes branches of a row at random in training, and never all of them.

    Where chance would take all, one that chance picks stays. What stays is scaled up by how often
    it does, so that a branch's expectation is the same with and without.
    """

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, branches_BD: Any, training: bool = False) -> Any:
        """Returns the branches, a list of [B, D]."""
        if not training:
            return list(branches_BD)
        count = len(branches_BD)
        # One draw serves both: a uniform number decides who goes, the largest who stays at least.
        drawn_BN = keras.random.uniform(
            (keras.ops.shape(branches_BD[0])[0], count), dtype="float32", seed=self.seed_generator
        )
        kept_BN = keras.ops.logical_or(
            drawn_BN >= self.rate,
            keras.ops.equal(keras.ops.argmax(drawn_BN, axis=1)[:, None], keras.ops.arange(count)),
        )
        often = 1 - self.rate + self.rate**count / count
        scale_BN = keras.ops.cast(kept_BN, "float32") / often
        return [
            x_BD * keras.ops.cast(scale_BN[:, index, None], x_BD.dtype)
            for index, x_BD in enumerate(branches_BD)
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {**super().get_config(), "rate": self.rate}


@dataclass(frozen=True)
class Fused:
    """The branches joined. B batch, D width.

    Attributes:
        deep: [B, D], after the dense layers.
        wide: [B, D], what the heads of vectors see: that, and what was joined, if so declared.
    """

    deep: keras.KerasTensor
    wide: Vector


def fuse(spec: FusionSpec, branches: Branches) -> Fused:
    """Returns the branches joined, through dense layers with dropout."""
    layers = keras.layers
    if spec.modality_dropout and len(branches) > 1:
        dropout = ModalityDropout(spec.modality_dropout, name="fusion.modality_dropout")
        tensors_BD = dropout([branch.tensor for branch in branches])
        branches = [
            Vector(x_BD, branch.entries) for x_BD, branch in zip(tensors_BD, branches, strict=True)
        ]
    joined = FUSIONS[type(spec)](spec, branches)
    x_BD, entries = joined.tensor, joined.entries
    for index, width in enumerate(spec.hidden):
        dense = layers.Dense(width, activation="relu", name=f"fusion.dense_{index}")
        x_BD, entries = with_axes(dense, kernel=(entries, None))(x_BD), None
        if spec.dropout:
            x_BD = Dropout(spec.dropout, name=f"fusion.dropout_{index}")(x_BD)
    if not (spec.wide and spec.hidden):
        return Fused(x_BD, Vector(x_BD, entries))
    wide_BD = layers.Concatenate(name="fusion.wide")([x_BD, joined.tensor])
    if joined.entries is None:
        return Fused(x_BD, Vector(wide_BD))
    deep = Segment(name="fusion", size=x_BD.shape[-1])
    return Fused(x_BD, Vector(wide_BD, (deep, *joined.entries)))


def concatenate(spec: ConcatenateFusion, branches: Branches) -> Vector:
    """Returns the branches side by side."""
    del spec  # it has no settings of its own
    return _side_by_side("fusion.concatenate", branches)


def add(spec: AddFusion, branches: Branches) -> Vector:
    """Returns the sum of the branches' projections, [B, W]."""
    return Vector(_sum(_projected(spec.width, branches)))


def gated(spec: GatedFusion, branches: Branches) -> Vector:
    """Returns the sum of the branches' projections, each times its gate, [B, W]."""
    layers = keras.layers
    joined = _side_by_side("fusion.all", branches)
    gated_BW = []
    for index, x_BW in enumerate(_projected(spec.width, branches, activation="tanh")):
        gate = layers.Dense(spec.width, "sigmoid", name=f"fusion.gate_{index}")
        gate_BW = with_axes(gate, kernel=(joined.entries, None))(joined.tensor)
        gated_BW.append(layers.Multiply(name=f"fusion.gated_{index}")([x_BW, gate_BW]))
    return Vector(_sum(gated_BW))


def attention(spec: AttentionFusion, branches: Branches) -> Vector:
    """Returns the mean of the branches after they have attended to one another, [B, W]."""
    layers = keras.layers
    tokens_BNW = [
        layers.Reshape((1, spec.width), name=f"fusion.token_{index}")(x_BW)
        for index, x_BW in enumerate(_projected(spec.width, branches))
    ]
    x_BNW = tokens_BNW[0]
    if len(tokens_BNW) > 1:
        x_BNW = layers.Concatenate(axis=1, name="fusion.tokens")(tokens_BNW)
    heads = layers.MultiHeadAttention(spec.heads, spec.width // spec.heads, name="fusion.attention")
    beside_BNW = Beside(name="fusion.beside")(x_BNW)
    normal_BNW = layers.LayerNormalization(name="fusion.norm")(beside_BNW)
    x_BNW = layers.Add(name="fusion.attended")([x_BNW, heads(normal_BNW, normal_BNW)])
    return Vector(layers.GlobalAveragePooling1D(name="fusion.mean")(x_BNW))


def _side_by_side(name: str, branches: Branches) -> Vector:
    if len(branches) == 1:
        return branches[0]
    joined_BD = keras.layers.Concatenate(name=name)([branch.tensor for branch in branches])
    entries: list[Segment] = []
    for branch in branches:
        if branch.entries is None:
            return Vector(joined_BD)
        entries += branch.entries
    return Vector(joined_BD, tuple(entries))


def _projected(
    width: int, branches: Branches, activation: str | None = None
) -> list[keras.KerasTensor]:
    """Returns a learnt projection of every branch, [B, W] each."""
    projected_BW = []
    for index, branch in enumerate(branches):
        dense = keras.layers.Dense(width, activation, name=f"fusion.project_{index}")
        dense = with_axes(dense, kernel=(branch.entries, None))
        projected_BW.append(dense(branch.tensor))
    return projected_BW


def _sum(branches_BW: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    if len(branches_BW) == 1:
        return branches_BW[0]
    return keras.layers.Add(name="fusion.sum")(list(branches_BW))


FUSIONS: dict[type[FusionSpec], Callable[[Any, Branches], Vector]] = {
    ConcatenateFusion: concatenate,
    AddFusion: add,
    GatedFusion: gated,
    AttentionFusion: attention,
}
