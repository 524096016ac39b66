"""The network's answers blended with a linear model's, in the share that serves each target best.

What one of the two gets wrong the other often gets right, and few rows are enough for the linear
one. The share is the only thing that the validation rows decide: Breiman, "Stacked Regressions",
1996, of two models whose shares add up to 1. B rows, D columns, K numbers or classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from trainer.linear.answers import Link
from trainer.linear.design import DesignMatrix, FeatureColumns, as_json, compact
from trainer.linear.regression import LinearModel
from trainer.network.members import BLEND
from transforms.contract.spec import Spec

Tensors = Mapping[str, Any]


class LinearTarget(Spec):
    """A target that the linear model answers too.

    Attributes:
        link: From scores to answers.
        classes: The answers of a row, K.
        penalty: What its weights were fitted with.
    """

    link: Link
    classes: int
    penalty: float


class LinearSpec(Spec):
    """The make of a linear model: all but its weights.

    Attributes:
        features: Its columns.
        targets: What it answers, by name.
    """

    features: tuple[FeatureColumns, ...]
    targets: Mapping[str, LinearTarget]


@keras.saving.register_keras_serializable(package="braid")
class LinearBlend(keras.layers.Layer):  # type: ignore[misc]
    """A linear model, and its share of every target's answer.

    Args:
        spec: The linear model's make, or its JSON.
    """

    def __init__(self, spec: LinearSpec | Mapping[str, Any], **options: Any) -> None:
        super().__init__(**{"name": BLEND, **options, "trainable": False, "dtype": "float32"})
        self.spec = LinearSpec.model_validate_json(as_json(spec))
        self.design = DesignMatrix(self.spec.features, name=f"{BLEND}.design")
        self._kernels, self._biases, self._shares = {}, {}, {}
        for name, target in self.spec.targets.items():
            shape = (self.design.columns, target.classes)
            self._kernels[name] = self.add_weight(shape, "zeros", name=f"{name}.kernel")
            self._biases[name] = self.add_weight(shape[1:], "zeros", name=f"{name}.bias")
            self._shares[name] = self.add_weight((), "zeros", name=f"{name}.share")
        self.built = True

    def take(self, models: Mapping[str, LinearModel]) -> None:
        """Takes the weights of fitted models, by target."""
        for name, model in models.items():
            self._kernels[name].assign(model.weights)
            self._biases[name].assign(model.bias - model.offset @ model.weights)

    def set_shares(self, shares: Mapping[str, float]) -> None:
        """Sets the linear model's share of targets, from 0 to 1."""
        for name, share in shares.items():
            self._shares[name].assign(share)

    def shares(self) -> dict[str, float]:
        """Returns the linear model's share of every target."""
        return {name: round(float(share), 4) for name, share in self._shares.items()}

    def linear_answers(self, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns the linear model's answers: probabilities or numbers, float32 [B, K].

        Args:
            inputs: Its features as the stream gives them.
        """
        stored = [columns.stored for columns in self.spec.features]
        columns_BD = self.design({s.name: compact(s, inputs[s.name]) for s in stored})
        return {
            name: _INVERSE_LINKS[target.link](columns_BD @ self._kernels[name] + self._biases[name])
            for name, target in self.spec.targets.items()
        }

    def call(self, answers: Tensors, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns the answers, with the linear model's share in those that it has one of.

        Args:
            answers: The network's, by target.
            inputs: As of `linear_answers`.
        """
        return self._mixed(answers, self.linear_answers(inputs))

    def with_members(
        self, means: Tensors, members: Sequence[Tensors], inputs: Tensors
    ) -> tuple[dict[str, tf.Tensor], tuple[dict[str, tf.Tensor], ...]]:
        """Returns what `call` does, and each member's answers around that.

        Probabilities have the linear model's share in every member's too. Numbers lie as far from
        the blended one as the members' from their mean: how far apart they lie is made as wide as
        errors are afterwards, so that a smaller share of them would change nothing, and none would
        leave nothing to widen.

        Args:
            means: The means of the members' answers, by target.
            members: Each one's own.
            inputs: As of `linear_answers`.
        """
        linear = self.linear_answers(inputs)
        outputs = self._mixed(means, linear)
        numbers = {name for name, target in self.spec.targets.items() if target.link == "identity"}
        around = tuple(
            self._mixed(member, linear)
            | {name: outputs[name] + member[name] - means[name] for name in numbers}
            for member in members
        )
        return outputs, around

    def _mixed(self, answers: Tensors, linear: Tensors) -> dict[str, tf.Tensor]:
        """Returns a network's answers with the share of a linear model's, [B, K] each, in them."""
        mixed = dict(answers)
        for name, linear_BK in linear.items():
            network, link = answers[name], self.spec.targets[name].link
            linear_like = tf.reshape(linear_BK, tf.shape(network))
            mixed[name] = pooled(link, network, linear_like, self._shares[name])
        return mixed

    def compute_output_spec(self, answers: Tensors, inputs: Tensors) -> dict[str, Any]:
        """Returns the answers' shapes: a blend changes none."""
        del inputs
        return {name: keras.KerasTensor(x.shape, "float32") for name, x in answers.items()}

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {**super().get_config(), "spec": self.spec.model_dump(mode="json")}


_SUREST = 1e-7  # no probability is nearer to 0 or 1: Keras's own bound in its losses
_INVERSE_LINKS = {"sigmoid": tf.math.sigmoid, "softmax": tf.nn.softmax, "identity": tf.identity}


def blended(network: keras.Model, blend: LinearBlend) -> keras.Model:
    """Returns the network with the linear model's share in its answers.

    Args:
        network: What `build_model` gives.
        blend: The linear model of the same features and targets.
    """
    names = [columns.stored.name for columns in blend.spec.features]
    inputs = {name: network.input[name] for name in names}
    return keras.Model(network.input, blend(network.output, inputs), name=network.name)


def pooled(
    link: Link, network: tf.Tensor, linear: tf.Tensor, share: tf.Tensor | float
) -> tf.Tensor:
    """Returns the answers of both, of which the linear model's have a share.

    Numbers by their mean, and probabilities by that of their logits, the logarithmic pool of Genest
    and Zidek, "Combining Probability Distributions", 1986: in a mean of probabilities the linear
    model, which is never as sure, would decide on the order of all rows that the network is sure
    of. Without a share the network's answers are what they were.

    Args:
        link: From scores to answers.
        network: The network's answers, float32 [B, ...]; classes are the last axis.
        linear: The linear model's, of the same shape.
        share: Of the linear model, from 0 to 1.
    """
    if link == "identity":
        return (1 - share) * network + share * linear
    known = [tf.clip_by_value(p, _SUREST, 1 - _SUREST) for p in (network, linear)]
    logs = [tf.math.log(p) for p in known]
    if link == "sigmoid":
        logs = [log - tf.math.log1p(-p) for log, p in zip(logs, known, strict=True)]
    both = _INVERSE_LINKS[link]((1 - share) * logs[0] + share * logs[1])
    return tf.where(tf.convert_to_tensor(share) > 0, both, network)


def losses_of_shares(
    link: Link, loss: keras.losses.Loss, truths: tf.Tensor, answers: tf.Tensor, linear: tf.Tensor
) -> tf.Tensor:
    """Returns the loss of the rows, added up, with each of `SHARES`, float64 [shares].

    Args:
        link: From the linear model's scores to its answers.
        loss: The target's.
        truths: What was to be answered, [B, ...] as the loss takes it.
        answers: The network's answers.
        linear: The linear model's, of the same shape.
    """
    losses = [loss.call(truths, pooled(link, answers, linear, share)) for share in SHARES]
    return tf.stack([tf.reduce_sum(tf.cast(values, tf.float64)) for values in losses])


SHARES: Sequence[float] = [round(0.05 * number, 2) for number in range(21)]
