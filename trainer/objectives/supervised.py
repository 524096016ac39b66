"""The targets' losses, added up by their declared weights."""

from __future__ import annotations

import keras

from trainer.heads import head_of
from trainer.objectives.compiling import jit_compile
from trainer.optimizers import build_optimizer
from transforms.contract.manifest import TransformManifest
from transforms.contract.pipeline import PipelineSpec


def compiled(
    network: keras.Model, pipeline: PipelineSpec, manifest: TransformManifest, steps: int
) -> keras.Model:
    """Returns the network itself, with its losses and optimizer.

    A target's loss is a mean over all rows, masked ones included: a row's pull on the weights
    does not depend on how many others of its batch have a label.
    """
    del manifest  # the heads know what they need
    network.compile(
        optimizer=build_optimizer(pipeline.training, steps),
        loss={name: head_of(target).loss(target) for name, target in pipeline.targets.items()},
        loss_weights={name: target.loss_weight for name, target in pipeline.targets.items()},
        jit_compile=jit_compile(),
    )
    network.optimizer.build(network.trainable_variables)
    return network
