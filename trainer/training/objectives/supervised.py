"""The targets' losses, added up by their declared weights."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from trainer.network.heads import head_of
from trainer.network.members import answers_of_members
from trainer.network.sums import mean, total
from trainer.recipe import Recipe
from trainer.training.objectives.compiling import jit_compile
from trainer.training.optimizers import build_optimizer
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import TransformManifest


class Supervised(keras.Model):  # type: ignore[misc]
    """A network whose members each lower the losses of all targets.

    A target's loss is a mean over all rows, masked ones included: a row's pull on the weights does
    not depend on how many others of its batch have a label. In training it is the mean of the
    members' losses, each by itself; in evaluation it is the loss of their mean answer.
    """

    def __init__(
        self, network: keras.Model, pipeline: PipelineSpec, name: str = "supervised"
    ) -> None:
        super().__init__(dtype=network.dtype_policy, name=name)
        self.network = network
        self.targets = dict(pipeline.targets)
        self._learnt = {n: head_of(t).training_loss(t) for n, t in self.targets.items()}
        self._judged = {n: head_of(t).loss(t) for n, t in self.targets.items()}
        self._means = {
            name: keras.metrics.Mean(name=f"{name}_loss")
            for name in self.targets
            if len(self.targets) > 1
        }
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the network's answers; in training those of every member, as a list by target."""
        if not training:
            return self.network(inputs, training=False)
        answers = answers_of_members(self.network, inputs, training=True)
        return {name: [answer[name] for answer in answers] for name in self.targets}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Returns the total loss, a mean over all rows, masked ones included."""
        del x
        # Keras divides a loss by the number of devices, because their gradients are added up.
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        functions = self._learnt if training else self._judged
        terms = list(self.losses)
        for name in self.targets:
            answers = y_pred[name] if training else [y_pred[name]]
            losses = [functions[name](y[name], answer, sample_weight[name]) for answer in answers]
            loss = mean(losses) * devices
            if name in self._means:
                self._means[name].update_state(loss, sample_weight=tf.shape(y[name])[0])
            terms.append(self.share_of(name, loss))
        return total(terms) / devices

    def share_of(self, name: str, loss: tf.Tensor) -> tf.Tensor:
        """Returns what a target's loss adds to the total."""
        return self.targets[name].loss_weight * loss


def compiled(
    network: keras.Model, pipeline: PipelineSpec, manifest: TransformManifest, recipe: Recipe
) -> keras.Model:
    """Returns the network with its losses and optimizer."""
    del manifest  # the heads know what they need
    return with_optimizer(Supervised(network, pipeline), pipeline, recipe)


def with_optimizer(model: keras.Model, pipeline: PipelineSpec, recipe: Recipe) -> keras.Model:
    """Returns the model, compiled with the declared optimizer."""
    optimizer = build_optimizer(pipeline.training, recipe)
    model.compile(optimizer=optimizer, jit_compile=jit_compile())
    model.optimizer.build(model.trainable_variables)
    return model
