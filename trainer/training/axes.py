"""What the entries of a network's weights stand for, so that they can be found again by meaning.

A vocabulary's order, and so the order of an embedding's rows, changes with every refit. The axes of
the layers that read ids or give classes are described here; all others are known by their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import keras

from trainer.network.encoders.numeric import PiecewiseLinear
from trainer.network.members import members_of
from transforms.contract.columns.features import FIRST_TERM
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.network.encoders import BagOfWordsEncoder, OneHotEncoder
from transforms.contract.network.fusions import ConcatenateFusion, GatedFusion
from transforms.contract.spec import Spec
from transforms.contract.workspace.manifest import MISSING_SUFFIX, StoredFeature, TransformManifest


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


def weights_by_path(network: keras.Model) -> dict[str, Any]:
    """Returns the network's weights by a path that is the same in every process.

    Keras's own paths leave out the model that a layer lies in, and two backbones have layers of the
    same names. What still shares its path with another is left out.
    """
    found: dict[str, list[Any]] = {}
    for path, weight in _walk(network, ""):
        found.setdefault(path, []).append(weight)
    return {path: weights[0] for path, weights in found.items() if len(weights) == 1}


def _walk(model: keras.Model, prefix: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _walk(layer, f"{prefix}{layer.name}/")
        else:
            for weight in layer.weights:
                yield prefix + weight.path, weight


def axes_by_path(
    pipeline: PipelineSpec, manifest: TransformManifest, network: keras.Model
) -> dict[str, Axes]:
    """Returns the axes of every weight of `weights_by_path`.

    Layers are known by their names, also in a network by a function of the user's: "<feature>.
    embedding" has a row per id, and a dense layer of a target's name an output per class.
    """
    known = _embeddings(manifest.inputs()) | _heads(manifest) | _pieces(network)
    if pipeline.model.builder is None:
        # Members are alike.
        for path, axis in _fusion(pipeline, manifest, members_of(network)[0]).items():
            known[path] = (axis, *known.get(path, (None, None))[1:])
    return {
        path: _fitting(known.get(weight.path), weight)
        for path, weight in weights_by_path(network).items()
    }


def _embeddings(inputs: Iterable[StoredFeature]) -> dict[str, Axes]:
    return {
        f"{s.name}.{layer}/embeddings": ((_ids(s),), None)
        for s in inputs
        for layer in ("embedding", "terms")
        if s.role == "feature" and s.cardinality
    }


def _pieces(network: keras.Model) -> dict[str, Axes]:
    """Returns the axes of the layers that know numbers by their pieces: an entry per number."""
    axes: dict[str, Axes] = {}
    for layer in members_of(network)[0].layers:
        if isinstance(layer, PiecewiseLinear):
            numbers = tuple(Segment(name=n, size=len(own)) for n, own in layer.edges.items())
            axes[f"{layer.name}/kernel"] = (numbers, None, None)
            axes[f"{layer.name}/bias"] = (numbers, None)
    return axes


def _ids(stored: StoredFeature, first: int = 0) -> Segment:
    size = (stored.cardinality or 0) - first
    return Segment(name=stored.name, size=size, entries="ids", first=first)


def _heads(manifest: TransformManifest) -> dict[str, Axes]:
    axes: dict[str, Axes] = {}
    for stored in manifest.stored:
        if stored.role == "target" and stored.kind in ("multiclass", "multilabel"):
            size = stored.cardinality or 0
            classes = (Segment(name=stored.name, size=size, entries="classes"),)
            axes[f"{stored.name}/kernel"] = (None, classes)
            axes[f"{stored.name}/bias"] = (classes,)
    return axes


def _fusion(
    pipeline: PipelineSpec, manifest: TransformManifest, network: keras.Model
) -> dict[str, tuple[Segment, ...]]:
    """Returns what the fusion's first layers read, by the path of their kernels."""
    fusion = pipeline.model.fusion
    features = [stored for stored in manifest.inputs() if stored.role == "feature"]
    indicators = {stored.name for stored in manifest.inputs() if stored.role == "indicator"}
    shapes = {weight.path: weight.shape for weight in network.weights}
    if isinstance(fusion, ConcatenateFusion):
        heads = [f"{name}{part}/kernel" for name in pipeline.targets for part in ("", ".flat")]
        candidates = ["fusion.dense_0/kernel"] if fusion.hidden else heads
        # A target that is a picture reads the vector through its decoder.
        readers = [path for path in candidates if len(shapes.get(path, ())) == 2]
        is_wide = fusion.wide and fusion.hidden
        wide = [path for path in heads if is_wide and len(shapes.get(path, ())) == 2]
        joint = {layer.name: layer for layer in network.layers}.get("fusion.concatenate")
        if joint is None and not readers:
            return {}
        widths = [x.shape[-1] for x in joint.input] if joint else [shapes[readers[0]][0]]
    else:
        widths = [shapes[f"fusion.project_{index}/kernel"][0] for index in range(len(features))]
        gated = isinstance(fusion, GatedFusion)
        readers = [f"fusion.gate_{index}/kernel" for index in range(len(features)) if gated]
        wide = []
    branches = [
        _branch(pipeline, stored, width, stored.name + MISSING_SUFFIX in indicators)
        for stored, width in zip(features, widths, strict=True)
    ]
    whole = tuple(segment for branch in branches for segment in branch)
    projected = {f"fusion.project_{index}/kernel": own for index, own in enumerate(branches)}
    # The heads see what the dense layers give before what is joined.
    deep = tuple(Segment(name="fusion", size=size) for size in fusion.hidden[-1:])
    return projected | dict.fromkeys(readers, whole) | dict.fromkeys(wide, (*deep, *whole))


def _branch(
    pipeline: PipelineSpec, stored: StoredFeature, width: int, has_indicator: bool
) -> tuple[Segment, ...]:
    """Returns what a feature's vector consists of."""
    encoder = pipeline.encoder_of(stored.name)
    own = width - has_indicator
    if isinstance(encoder, OneHotEncoder):
        vector = _ids(stored, first=1 if stored.shape else 0)
    elif isinstance(encoder, BagOfWordsEncoder) and encoder.units is None:
        vector = _ids(stored, first=FIRST_TERM)
    else:
        vector = Segment(name=stored.name, size=own)
    indicator = Segment(name=stored.name + MISSING_SUFFIX, size=1)
    return (vector, indicator) if has_indicator else (vector,)


def _fitting(axes: Axes | None, weight: Any) -> Axes:
    """Returns the axes if they are as long as the weight's, or else axes without a meaning.

    A user's own layer may have a name that means something here, and another shape.
    """
    shape = tuple(weight.shape)
    plain: Axes = (None,) * len(shape)
    if axes is None or len(axes) != len(shape):
        return plain
    sizes = (None if axis is None else sum(part.size for part in axis) for axis in axes)
    fits = all(size in (None, length) for size, length in zip(sizes, shape, strict=True))
    return axes if fits else plain


class Meanings:
    """What the entries of axes stand for, on one side of a warm start.

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
