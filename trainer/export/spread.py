"""The spread of an answer: how far the members' answers lie apart.

B batch, M members, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from trainer.network.heads import head_of
from trainer.network.members import Answer
from transforms.contract.columns.targets import Target
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import (
    SPREAD_SUFFIX,
    TargetStatistics,
    TransformManifest,
)

Factors = Mapping[str, float]


def spreads(
    pipeline: PipelineSpec, manifest: TransformManifest, answered: Answer, factors: Factors
) -> dict[str, tf.Tensor]:
    """Returns the spread of every target that has a factor, by its name with `SPREAD_SUFFIX`.

    It is the standard deviation of the members' numbers in the column's unit times the factor,
    float32 [B] or [B, length], or that of their probabilities of "yes" or of the label that is
    answered, float32 [B].

    Args:
        pipeline: The declaration.
        manifest: What the shards hold.
        answered: The network's answer with its members', after the calibration of both.
        factors: Of every target whose spread is wanted.
    """
    return {
        name + SPREAD_SUFFIX: factor
        * _deviation(name, pipeline.targets[name], manifest.targets[name], answered)
        for name, factor in factors.items()
    }


def _deviation(
    name: str, target: Target, statistics: TargetStatistics, answered: Answer
) -> tf.Tensor:
    head = head_of(target)
    served = [head.serve(name, statistics, own[name]) for own in answered.members]
    return head.deviation(name, served, answered.outputs[name])
