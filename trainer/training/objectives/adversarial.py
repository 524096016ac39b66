"""A network that makes pictures, trained against one that tells them from real ones.

B batch, H height, W width, C channels, D width of a vector.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from trainer.network.dropout import Dropout
from trainer.network.encoders import encode_features
from trainer.network.heads import head_of
from trainer.network.model import build_inputs, with_indicator
from trainer.network.sums import total
from trainer.recipe import Recipe
from trainer.training.objectives.compiling import jit_compile
from trainer.training.optimizers import build_optimizer
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.training import DiscriminatorSpec
from transforms.contract.workspace.manifest import StoredFeature, TransformManifest

_MOMENTUM = 0.5  # of both optimizers; with Adam's own 0.9 the two networks swing (Radford et al.)
_SLOPE = 0.2  # of the leaky rectifiers, as Radford et al. have it
_KERNEL = 4  # a multiple of the stride, so that every pixel is read equally often
_REAL = 0.9  # what a real picture is to be called: one-sided smoothing (Salimans et al.)


class Adversarial(keras.Model):  # type: ignore[misc]
    """A generator and its conditional discriminator, stepped in turn.

    The discriminator learns to tell a row's real picture from the one that the generator makes of
    the row's features, and from the real picture of another row; then the generator learns to have
    its pictures called real, by the non-saturating loss.

    Goodfellow et al., "Generative Adversarial Nets", 2014; Mirza and Osindero, "Conditional
    Generative Adversarial Nets", 2014; Radford, Metz and Chintala, "Unsupervised Representation
    Learning with Deep Convolutional Generative Adversarial Networks", 2016; the smoothed label from
    Salimans et al., "Improved Techniques for Training GANs", 2016; the pictures of other rows, by
    which the conditions are learnt twice as fast, from Reed et al., "Generative Adversarial Text to
    Image Synthesis", 2016.

    Args:
        network: The generator; its one output is a picture [B, H, W, C] with values from 0 to 1.
        discriminator: From the picture under the target's name, and the conditions under their
            own, to a logit [B, 1].
        discriminator_optimizer: Its optimizer.
    """

    def __init__(
        self,
        network: keras.Model,
        discriminator: keras.Model,
        discriminator_optimizer: keras.Optimizer,
    ) -> None:
        super().__init__(dtype=network.dtype_policy, name="adversarial")
        self.network = network
        self.discriminator = discriminator
        self.discriminator_optimizer = discriminator_optimizer
        discriminator_optimizer.build(discriminator.trainable_variables)
        (self._target,) = network.output
        self._conditions = [name for name in discriminator.input if name != self._target]
        self._means = {
            name: keras.metrics.Mean(name=f"{name}_loss") for name in ("generator", "discriminator")
        }
        self.built = True

    @property
    def optimizers(self) -> tuple[keras.Optimizer, ...]:
        """Both optimizers, the generator's first."""
        return self.optimizer, self.discriminator_optimizer

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the generator's outputs."""
        return self.network(inputs, training=training)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Trains the discriminator on one batch, then the generator.

        Returns:
            The mean losses of the epoch so far, and their sum as `loss`.
        """
        inputs, targets, weights = data
        real_BHWC, weight_B = targets[self._target], weights[self._target]
        generator_tape = tf.GradientTape()
        with generator_tape:
            made_BHWC = self.network(inputs, training=True)[self._target]
        discriminator_loss = self._step_discriminator(inputs, real_BHWC, made_BHWC, weight_B)
        with generator_tape:
            logit_B1 = self._judge(made_BHWC, inputs)
            generator_loss = tf.reduce_mean(_cross_entropy(logit_B1, 1.0))
            # Regularization of the generator alone: `self.losses` has the discriminator's too.
            generator_loss = total([generator_loss, *self.network.losses])
            scaled = self.optimizer.scale_loss(generator_loss)
        variables = self.network.trainable_variables
        gradients = generator_tape.gradient(scaled, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        rows = tf.shape(made_BHWC)[0]
        losses = {"generator": generator_loss, "discriminator": discriminator_loss}
        for name, loss in losses.items():
            self._means[name].update_state(loss, sample_weight=rows)
        means = {f"{name}_loss": mean.result() for name, mean in self._means.items()}
        return means | {"loss": total(list(means.values()))}

    def _step_discriminator(
        self, inputs: Any, real_BHWC: tf.Tensor, made_BHWC: tf.Tensor, weight_B: tf.Tensor
    ) -> tf.Tensor:
        """Returns its loss before the step; a masked row has no real picture and does not count."""
        others = {name: tf.roll(values, 1, axis=0) for name, values in inputs.items()}
        with tf.GradientTape() as tape:
            real_B = _cross_entropy(self._judge(real_BHWC, inputs), _REAL)
            made_B = _cross_entropy(self._judge(made_BHWC, inputs), 0.0)
            # Where the row beside has the same conditions, its picture is no wrong one.
            wrong_B = _cross_entropy(self._judge(real_BHWC, others), 0.0)
            wrong_B *= self._differ(inputs, others)
            loss = tf.reduce_mean(weight_B * (real_B + (made_B + wrong_B) / 2))
            regularized = total([loss, *self.discriminator.losses])
        variables = self.discriminator.trainable_variables
        gradients = tape.gradient(regularized, variables)
        self.discriminator_optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def _judge(self, pictures_BHWC: tf.Tensor, inputs: Any) -> tf.Tensor:
        given = {name: inputs[name] for name in self._conditions}
        return self.discriminator({self._target: pictures_BHWC, **given}, training=True)

    def _differ(self, inputs: Any, others: Any) -> tf.Tensor:
        """Returns 1 for a row some of whose conditions differ, 0 for another, float32 [B]."""
        unequal = [
            tf.reduce_any(
                tf.reshape(inputs[name] != others[name], (tf.shape(inputs[name])[0], -1)), 1
            )
            for name in self._conditions
        ]
        return tf.cast(tf.reduce_any(tf.stack(unequal), axis=0), tf.float32)


def compiled(
    network: keras.Model, pipeline: PipelineSpec, manifest: TransformManifest, recipe: Recipe
) -> keras.Model:
    """Returns the network with a discriminator beside it.

    Its evaluation is that of a supervised training: the target's declared loss. That tells whether
    pictures have gone astray, not how good they are.
    """
    ((name, target),) = pipeline.targets.items()
    training = pipeline.training
    model = Adversarial(
        network,
        build_discriminator(training.discriminator, pipeline, manifest),
        keras.optimizers.Adam(training.discriminator.learning_rate, beta_1=_MOMENTUM),
    )
    model.compile(
        optimizer=build_optimizer(training, recipe, momentum=_MOMENTUM),
        loss={name: head_of(target).loss(target)},
        jit_compile=jit_compile(),
    )
    model.optimizer.build(network.trainable_variables)
    return model


def build_discriminator(
    spec: DiscriminatorSpec, pipeline: PipelineSpec, manifest: TransformManifest
) -> keras.Model:
    """Builds the conditional discriminator, in float32 always.

    Args:
        spec: Its declaration.
        pipeline: The declared encoders of the conditions.
        manifest: What the shards hold: the picture's shape, the conditions.

    Returns:
        A model from a dict of the picture, under the target's name, and of every stored feature
        and indicator but noise, to a logit [B, 1].
    """
    (picture,) = (stored for stored in manifest.stored if stored.role == "target")
    inputs = build_inputs(stored for stored in manifest.inputs() if stored.storage != "drawn")
    conditions = [s for s in manifest.inputs() if s.role == "feature" and s.storage != "drawn"]
    encoded = encode_features(pipeline, conditions, inputs)
    conditions_BD = [with_indicator(name, e, inputs).tensor for name, e in encoded.items()]
    pixels_BHWC = keras.Input(picture.shape, name=picture.name)
    x_BD = keras.layers.Concatenate()([_read(spec, picture, pixels_BHWC), *conditions_BD])
    x_BD = keras.layers.Dense(spec.units, name=f"{picture.name}.joined")(x_BD)
    x_BD = keras.layers.LeakyReLU(_SLOPE)(x_BD)
    logit_B1 = keras.layers.Dense(1, name=f"{picture.name}.logit")(x_BD)
    return keras.Model({picture.name: pixels_BHWC, **inputs}, logit_B1, name="discriminator")


def _read(
    spec: DiscriminatorSpec, picture: StoredFeature, pixels_BHWC: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the picture as a vector, [B, D]: strided convolutions instead of pooling."""
    layers = keras.layers
    x = layers.Rescaling(2.0, -1.0, name=f"{picture.name}.centered")(pixels_BHWC)
    for index, filters in enumerate(spec.filters):
        block = f"{picture.name}.{index}"
        x = layers.Conv2D(filters, _KERNEL, 2, padding="same", name=f"{block}.conv")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"{block}.relu")(x)
        x = Dropout(spec.dropout, name=f"{block}.dropout")(x)
    return layers.Flatten(name=f"{picture.name}.flat")(x)


def _cross_entropy(logit_B1: tf.Tensor, label: float) -> tf.Tensor:
    logit_B = tf.squeeze(tf.cast(logit_B1, tf.float32), axis=1)
    labels_B = tf.fill(tf.shape(logit_B), label)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels_B, logits=logit_B)
