"""The weights of two networks matched by what the entries of their axes stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from trainer.network.axes import Axes, Segment, axes_of, layers_of
from transforms.contract.workspace.manifest import StoredFeature, TransformManifest


def weights_by_path(network: keras.Model) -> dict[str, Any]:
    """Returns the network's weights by a path that is the same in every process.

    Keras's own paths leave out the model that a layer lies in, and two backbones have layers of the
    same names. What still shares its path with another is left out.
    """
    return {path: weight for path, (weight, _) in _described(network).items()}


def axes_by_path(network: keras.Model) -> dict[str, Axes]:
    """Returns the axes of every weight of `weights_by_path`."""
    return {path: axes for path, (_, axes) in _described(network).items()}


def _described(network: keras.Model) -> dict[str, tuple[Any, Axes]]:
    described: dict[str, list[tuple[Any, Axes]]] = {}
    for prefix, layer in layers_of(network):
        for weight in layer.weights:
            path = prefix + weight.path
            described.setdefault(path, []).append((weight, axes_of(layer, weight)))
    return {path: alike[0] for path, alike in described.items() if len(alike) == 1}


class Meanings:
    """The meanings of the entries of axes, on one side of a warm start.

    Args:
        manifest: The transform of the network.
        terms: The terms of every feature that has a vocabulary, in the order of their ids.
    """

    def __init__(self, manifest: TransformManifest, terms: Mapping[str, tuple[bytes, ...]]) -> None:
        self._terms = terms
        self._stored = {stored.name: stored for stored in manifest.stored}
        self._targets = manifest.targets

    def of(self, axis: tuple[Segment, ...]) -> list[tuple[Any, ...]]:
        """Returns for every entry of an axis what it stands for; no two are equal."""
        return [meaning for segment in axis for meaning in self._of_segment(segment)]

    def vocabulary(self, segment: Segment) -> frozenset[Any]:
        """Returns the terms or labels that a segment is about; none if it is about something else.

        Terms are bytes.
        """
        if segment.entries == "classes":
            return frozenset(self._targets[segment.name].labels)
        return (
            frozenset(self._terms.get(segment.name, ()))
            if segment.entries == "ids"
            else frozenset()
        )

    def _of_segment(self, segment: Segment) -> Iterator[tuple[Any, ...]]:
        name, size = segment.name, segment.size
        if segment.entries == "classes":
            return ((name, "class", label) for label in self._targets[name].labels)
        if segment.entries == "ids" and name in self._terms:
            ids = self._of_ids(self._stored[name], self._terms[name])
            return iter(ids[segment.first : segment.first + size])
        # Neither a vector's values nor hashed ids mean anything in a vector of another size.
        return ((name, segment.entries, size, index) for index in range(size))

    def _of_ids(self, stored: StoredFeature, terms: tuple[bytes, ...]) -> list[tuple[Any, ...]]:
        first, name = stored.first_term or 0, stored.name
        buckets = (stored.cardinality or 0) - first - len(terms)
        return [
            *((name, "no term", index) for index in range(first)),
            *((name, "term", term) for term in terms),
            *((name, "unknown", buckets, index) for index in range(buckets)),
        ]
