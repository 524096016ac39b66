"""The targets' losses, added up by weights that are learnt."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from trainer.heads import head_of
from trainer.losses import REGRESSION_LOSSES
from trainer.objectives.compiling import jit_compile
from trainer.optimizers import build_optimizer
from transforms.contract.manifest import TransformManifest
from transforms.contract.pipeline import PipelineSpec


class UncertaintyBalanced(keras.Model):  # type: ignore[misc]
    """A network with a learnt log-variance s for each of its targets.

    A classification target with the loss L adds exp(-s) * L + s / 2, a regression target
    exp(-s) * L / 2 + s / 2, each times its declared `loss_weight`. A target that cannot be learnt
    keeps a high loss and gets a high variance, and so a low weight.

    Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
    Geometry and Semantics", 2018.
    """

    def __init__(self, network: keras.Model, pipeline: PipelineSpec) -> None:
        super().__init__(dtype=network.dtype_policy, name="uncertainty_balanced")
        self.network = network
        self._targets = dict(pipeline.targets)
        self._log_variances = {
            name: self.add_weight(shape=(), initializer="zeros", name=f"{name}_log_variance")
            for name in self._targets
        }
        self._losses_by_target = {
            name: head_of(target).loss(target) for name, target in self._targets.items()
        }
        self._means = {name: keras.metrics.Mean(name=f"{name}_loss") for name in self._targets}
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the network's outputs."""
        return self.network(inputs, training=training)

    def learnt_weights(self) -> dict[str, tf.Tensor]:
        """Returns what every target's loss is multiplied with, its `loss_weight` included."""
        return {
            name: target.loss_weight * self._share(name) * tf.exp(-self._log_variances[name])
            for name, target in self._targets.items()
        }

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Returns the balanced loss, a mean over all rows, masked ones included."""
        del x, training
        weights, total = self.learnt_weights(), tf.add_n([tf.constant(0.0), *self.losses])
        # Keras divides a loss by the number of devices, because their gradients are added up.
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        for name, target in self._targets.items():
            loss = self._losses_by_target[name](y[name], y_pred[name], sample_weight[name])
            loss *= devices
            self._means[name].update_state(loss, sample_weight=tf.shape(y[name])[0])
            total += weights[name] * loss
            total += target.loss_weight * self._log_variances[name] / 2
        return total / devices

    def _share(self, name: str) -> float:
        return 0.5 if self._losses_by_target[name].loss in REGRESSION_LOSSES else 1.0


def compiled(
    network: keras.Model, pipeline: PipelineSpec, manifest: TransformManifest, steps: int
) -> keras.Model:
    """Returns the network with a learnt weight for each target's loss."""
    del manifest  # the heads know what they need
    model = UncertaintyBalanced(network, pipeline)
    model.compile(optimizer=build_optimizer(pipeline.training, steps), jit_compile=jit_compile())
    model.optimizer.build(model.trainable_variables)
    return model
