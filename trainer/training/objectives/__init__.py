"""Networks to what is trained: one function per objective and loss balance, picked by one table.

What is trained has the network inside, or is the network. Its train step is what an epoch repeats
and its variables are what a checkpoint holds; if it has several optimizers, it lists them as
`optimizers`. What is saved and exported is the network alone.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from trainer.recipe import Recipe
from trainer.training.objectives import adversarial, supervised, uncertainty
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import TransformManifest

Objective = Callable[[keras.Model, PipelineSpec, TransformManifest, Recipe], keras.Model]

# By `training.objective` and `training.loss_balance`.
OBJECTIVES: dict[tuple[str, str], Objective] = {
    ("supervised", "fixed"): supervised.compiled,
    ("supervised", "uncertainty"): uncertainty.compiled,
    ("adversarial", "fixed"): adversarial.compiled,
}


def trainable(
    network: keras.Model, pipeline: PipelineSpec, manifest: TransformManifest, recipe: Recipe
) -> keras.Model:
    """Returns a compiled model whose train step trains the network for the declared objective.

    Args:
        network: What `build_model` gives.
        pipeline: The declaration.
        manifest: What the shards hold.
        recipe: How long it is trained, and how its weights are averaged.
    """
    training = pipeline.training
    return OBJECTIVES[training.objective, training.loss_balance](
        network, pipeline, manifest, recipe
    )


def learnt_loss_weights(model: keras.Model) -> dict[str, float]:
    """Returns what every target's loss is multiplied with; nothing if that is not learnt."""
    if not isinstance(model, uncertainty.UncertaintyBalanced):
        return {}
    return {name: float(weight) for name, weight in model.learnt_weights().items()}
