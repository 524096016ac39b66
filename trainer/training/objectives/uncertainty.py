"""The targets' losses, added up by weights that are learnt."""

from __future__ import annotations

import keras
import tensorflow as tf

from trainer.network.losses import REGRESSION_LOSSES
from trainer.recipe import Recipe
from trainer.training.objectives.supervised import Supervised, with_optimizer
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import TransformManifest


class UncertaintyBalanced(Supervised):
    """A network with a learnt log-variance s for each of its targets.

    A classification target with the loss L adds exp(-s) * L + s / 2, a regression target
    exp(-s) * L / 2 + s / 2, each times its declared `loss_weight`. A target that cannot be learnt
    keeps a high loss and gets a high variance, and so a low weight.

    Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
    Geometry and Semantics", 2018.
    """

    def __init__(self, network: keras.Model, pipeline: PipelineSpec) -> None:
        super().__init__(network, pipeline, name="uncertainty_balanced")
        self._log_variances = {
            name: self.add_weight(shape=(), initializer="zeros", name=f"{name}_log_variance")
            for name in self.targets
        }

    def learnt_weights(self) -> dict[str, tf.Tensor]:
        """Returns what every target's loss is multiplied with, its `loss_weight` included."""
        return {name: self._weight(name) for name in self.targets}

    def share_of(self, name: str, loss: tf.Tensor) -> tf.Tensor:
        """Returns what a target's loss adds to the total, by its learnt weight."""
        own = self.targets[name].loss_weight * self._log_variances[name] / 2
        return self._weight(name) * loss + own

    def _weight(self, name: str) -> tf.Tensor:
        is_number = self._judged[name].loss in REGRESSION_LOSSES
        share = self.targets[name].loss_weight * (0.5 if is_number else 1.0)
        return share * tf.exp(-self._log_variances[name])


def compiled(
    network: keras.Model, pipeline: PipelineSpec, manifest: TransformManifest, recipe: Recipe
) -> keras.Model:
    """Returns the network with a learnt weight for each target's loss."""
    del manifest  # the heads know what they need
    return with_optimizer(UncertaintyBalanced(network, pipeline), pipeline, recipe)
