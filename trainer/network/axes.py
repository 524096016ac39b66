"""The meaning of the axes of a network's weights, said of a layer where the layer is built.

A vocabulary's order, and so the order of an embedding's rows, changes with every refit. Of a layer
that says nothing, and of an axis that is None, the size alone is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras

from trainer.network.members import PARTS
from transforms.contract.spec import Spec
from transforms.contract.workspace.manifest import StoredFeature

_ATTRIBUTE = "axes_of_weights"


class Segment(Spec):
    """Neighbouring entries of an axis that belong to one feature or target.

    Attributes:
        name: The feature or the target.
        size: How many entries they are.
        entries: The "ids" of a feature, the "classes" of a target, or a vector's "values".
        first: The id of the first entry.
    """

    name: str
    size: int
    entries: Literal["ids", "classes", "values"] = "values"
    first: int = 0


Axis = tuple[Segment, ...] | None  # None: known by its size alone
Axes = tuple[Axis, ...]


@dataclass(frozen=True)
class Vector:
    """A vector of the network. B batch, D width.

    Attributes:
        tensor: [B, D].
        entries: What the D numbers stand for.
    """

    tensor: keras.KerasTensor
    entries: Axis = None


@dataclass(frozen=True)
class _AxesOfWeights:
    """The axes that a layer names. Keras and TensorFlow would track a plain dict as its part."""

    by_name: Mapping[str, Axes]


def with_axes(layer: keras.layers.Layer, **axes: Axes) -> keras.layers.Layer:
    """Returns the layer, which says from now on what the axes of its weights stand for.

    Args:
        layer: The layer.
        **axes: By a weight's name in the layer, such as `kernel`.
    """
    setattr(layer, _ATTRIBUTE, _AxesOfWeights(axes))
    return layer


def axes_of(layer: keras.layers.Layer, weight: Any) -> Axes:
    """Returns what the axes of a layer's weight stand for, an entry for each of them."""
    said = getattr(layer, _ATTRIBUTE, None)
    unknown: Axes = (None,) * len(weight.shape)
    return unknown if said is None else said.by_name.get(weight.name, unknown)


def name_axes(network: keras.Model, stored: Iterable[StoredFeature]) -> None:
    """Lets the layers of a user's functions say what their names do.

    "<feature>.embedding" has a row per id, and a dense layer of a target's name an output per
    class. A layer of another shape says nothing.

    Args:
        network: The network. Its layers that say something themselves are left alone.
        stored: What the shards hold.
    """
    named: dict[str, dict[str, Axes]] = {}
    for feature in stored:
        if not feature.cardinality or feature.dtype != "int64":  # no ids
            continue
        if feature.role == "feature":
            named[f"{feature.name}.embedding"] = {"embeddings": ((ids_of(feature),), None)}
        elif feature.role == "target":
            classes = (classes_of(feature),)
            named[feature.name] = {"kernel": (None, classes), "bias": (classes,)}
    for _, layer in layers_of(network):
        if layer.name in named and not hasattr(layer, _ATTRIBUTE):
            shapes = {weight.name: tuple(weight.shape) for weight in layer.weights}
            said = named[layer.name].items()
            with_axes(layer, **{n: axes for n, axes in said if _fits(axes, shapes.get(n, ()))})


def _fits(axes: Axes, shape: tuple[int, ...]) -> bool:
    sizes = [None if axis is None else sum(part.size for part in axis) for axis in axes]
    return len(sizes) == len(shape) and all(
        size in (None, length) for size, length in zip(sizes, shape, strict=True)
    )


def layers_of(network: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yields every layer of a network with the models that it lies in, "outer/inner/" or "".

    Members and their trunk go by what follows `PARTS`: exports of earlier releases, which a warm
    start may begin with, know them by that.
    """
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer, f"{prefix}{layer.name.removeprefix(PARTS)}/")
        else:
            yield prefix, layer


def ids_of(stored: StoredFeature, first: int = 0) -> Segment:
    """Returns an entry for every id of a feature, those below the first apart."""
    size = (stored.cardinality or 0) - first
    return Segment(name=stored.name, size=size, entries="ids", first=first)


def classes_of(stored: StoredFeature) -> Segment:
    """Returns an entry for every class of a target."""
    return Segment(name=stored.name, size=stored.cardinality or 0, entries="classes")
