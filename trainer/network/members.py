"""Networks side by side: each learns by itself, and the mean of their answers is the model's.

Lakshminarayanan, Pritzel and Blundell, "Simple and Scalable Predictive Uncertainty Estimation using
Deep Ensembles", 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras

from trainer.network.sums import mean

# What these layers' names begin with. A feature or a target has no dot in its name, and no layer of
# one is called so after its dot, so that no table's column clashes with them.
PARTS = "members."
_MEMBER = f"{PARTS}member_"  # a member's layer in the network, followed by its number
_TRUNK = f"{PARTS}trunk"  # the layer of what the members share
BLEND = "blend.linear"  # the layer of what the members' mean is blended with
_ENCODED = ".encoded"  # follows the name of a feature that the trunk reads: its vector

Tensors = Mapping[str, Any]


def trunk_of(inputs: Tensors, vectors_BD: Tensors) -> keras.Model:
    """Returns the part that the members share.

    Args:
        inputs: Its features.
        vectors_BD: What their encoders give, by feature.
    """
    outputs = {name + _ENCODED: vector for name, vector in vectors_BD.items()}
    return keras.Model(dict(inputs), outputs, name=_TRUNK)


def trunk_vectors(trunk: keras.Model) -> dict[str, keras.KerasTensor]:
    """Returns a member's inputs for what the trunk gives, by feature."""
    return {
        name.removesuffix(_ENCODED): keras.Input(vector.shape[1:], dtype=vector.dtype, name=name)
        for name, vector in trunk.output.items()
    }


def average(networks: Sequence[keras.Model], trunk: keras.Model | None = None) -> keras.Model:
    """Returns the network whose answers are the means of its members'.

    Means are of probabilities, and of numbers on the scale that is learnt.

    Args:
        networks: The members, each from a dict of features, and of what the trunk gives.
        trunk: What they share.
    """
    parts = [*networks, *([] if trunk is None else [trunk])]
    given = {name: x for part in parts for name, x in part.input.items()}
    inputs = {
        name: keras.Input(x.shape[1:], dtype=x.dtype, name=name)
        for name, x in given.items()
        if not name.endswith(_ENCODED)
    }
    known = dict(inputs)
    if trunk is not None:
        known |= trunk({name: inputs[name] for name in trunk.input})
    answers = []
    for number, network in enumerate(networks):
        member = keras.Model(network.input, network.output, name=f"{_MEMBER}{number}")
        answers.append(member({name: known[name] for name in member.input}))
    outputs = {
        name: keras.layers.Average(name=name, dtype="float32")([answer[name] for answer in answers])
        for name in answers[0]
    }
    return keras.Model(inputs, outputs, name="braid")


def members_of(network: keras.Model) -> list[keras.Model]:
    """Returns the members of a network, or the network alone."""
    return [x for x in network.layers if x.name.startswith(_MEMBER)] or [network]


def answers_of_members(network: keras.Model, inputs: Tensors, *, training: bool) -> list[Tensors]:
    """Returns what every member answers, or the network alone.

    Args:
        network: What `build_model` gives.
        inputs: Every stored feature and indicator, [B, *shape].
        training: Whether it learns from the answer.
    """
    members = members_of(network)
    if members == [network]:
        return [network(inputs, training=training)]
    known = dict(inputs)
    trunk = next((layer for layer in network.layers if layer.name == _TRUNK), None)
    if trunk is not None:
        known |= trunk({name: known[name] for name in trunk.input}, training=training)
    return [
        member({name: known[name] for name in member.input}, training=training)
        for member in members
    ]


class Answer(NamedTuple):
    """A network's answer.

    Attributes:
        outputs: The mean of its members', by target, with a linear model's share in it if the
            network is blended with one.
        members: Each member's, as far apart as the members lie, with that share too; none if they
            were not asked for.
    """

    outputs: Tensors
    members: tuple[Tensors, ...] = ()


def answer(network: keras.Model, inputs: Tensors, *, with_members: bool) -> Answer:
    """Returns what a network answers, with or without what each member does.

    Args:
        network: What `build_model` gives.
        inputs: Every stored feature and indicator, [B, *shape].
        with_members: Whether each member's answer is wanted.
    """
    if not with_members or members_of(network) == [network]:
        outputs = network(inputs, training=False)
        return Answer(outputs, (outputs,) if with_members else ())
    members = answers_of_members(network, inputs, training=False)
    means = {name: mean([each[name] for each in members]) for name in members[0]}
    blend = next((layer for layer in network.layers if layer.name == BLEND), None)
    if blend is None:
        return Answer(means, tuple(members))
    return Answer(*blend.with_members(means, members, inputs))
