"""Targets to outputs: one head per target kind, picked by one table."""

from __future__ import annotations

from trainer.network.heads import binary, image, multiclass, multilabel, numeric
from trainer.network.heads.head import Head
from transforms.contract.columns.targets import (
    Binary,
    BinaryMask,
    ClassMask,
    ContinuousImage,
    Multiclass,
    Multilabel,
    NumericTarget,
    SequenceTarget,
    Target,
    TargetSpec,
)

HEADS: dict[type[TargetSpec], Head] = {
    Binary: binary.HEAD,
    Multiclass: multiclass.HEAD,
    NumericTarget: numeric.HEAD,
    Multilabel: multilabel.HEAD,
    SequenceTarget: numeric.HEAD,
    BinaryMask: image.BINARY_MASK,
    ClassMask: image.CLASS_MASK,
    ContinuousImage: image.CONTINUOUS,
}


def head_of(target: Target) -> Head:
    """Returns the head of a declared target."""
    return HEADS[type(target)]
