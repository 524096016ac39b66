"""The network: one branch per feature, a join, one head per target. B batch, D width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import keras

from trainer.network.axes import Segment, Vector, name_axes
from trainer.network.builder import build_declared
from trainer.network.decoders import decode
from trainer.network.encoders import encode_features
from trainer.network.encoders.encoded import Encoded
from trainer.network.fusion import fuse
from trainer.network.heads import head_of
from trainer.network.members import average, trunk_of, trunk_vectors
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import MISSING_SUFFIX, StoredFeature, TransformManifest

_POLICIES = {None: "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


def build_model(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    *,
    members: int = 1,
    mixed_precision: str | None = None,
) -> keras.Model:
    """Builds the declared model.

    Args:
        pipeline: The declaration.
        manifest: What the shards hold.
        members: Networks side by side, whose answers are averaged.
        mixed_precision: Compute in "float16" or "bfloat16". For training only: weights are float32
            either way, so the same weights serve in a float32 model.

    Returns:
        A model that takes a dict of every stored feature and indicator, [B, *shape], and gives a
        dict of every target: a probability [B, 1], class probabilities [B, C], standardized
        numbers [B, ...] or a picture [B, H, W, C], all float32.

    Raises:
        DeclarationError: The declared builder cannot be called, or gives something else.
    """
    with _precision(_POLICIES[mixed_precision]):
        if members == 1:
            network = _alone(pipeline, manifest)
        elif pipeline.model.builder is not None or pipeline.makes_pictures:
            network = average([_alone(pipeline, manifest) for _ in range(members)])
        else:
            network = _with_shared_trunk(pipeline, manifest, members)
    if pipeline.has_user_code():
        name_axes(network, manifest.stored)
    return network


def _alone(pipeline: PipelineSpec, manifest: TransformManifest) -> keras.Model:
    if pipeline.model.builder is not None:
        return build_declared(pipeline.model.builder, pipeline, manifest)
    inputs = build_inputs(manifest.inputs())
    encoded = encode_features(pipeline, _features(manifest), inputs)
    return keras.Model(inputs, _answers(pipeline, manifest, encoded, inputs), name="braid")


def _with_shared_trunk(
    pipeline: PipelineSpec, manifest: TransformManifest, members: int
) -> keras.Model:
    """Returns members that share the encoders that take long; the others are each one's own."""
    features = _features(manifest)
    shared = [s for s in features if pipeline.encoder_of(s.name).is_shared_by_members]
    trunk, by_trunk = None, dict[str, Encoded]()
    if shared:
        inputs = build_inputs(shared)
        by_trunk = encode_features(pipeline, shared, inputs)
        trunk = trunk_of(inputs, {name: e.vector for name, e in by_trunk.items()})
    networks = []
    for _ in range(members):
        inputs = build_inputs(s for s in manifest.inputs() if s not in shared)
        vectors_BD = {} if trunk is None else trunk_vectors(trunk)
        encoded = {n: Encoded(vector, ids=by_trunk[n].ids) for n, vector in vectors_BD.items()}
        encoded |= encode_features(pipeline, [s for s in features if s not in shared], inputs)
        in_order = {s.name: encoded[s.name] for s in features}
        outputs = _answers(pipeline, manifest, in_order, inputs)
        given = {x.name: x for x in vectors_BD.values()}
        networks.append(keras.Model({**inputs, **given}, outputs))
    return average(networks, trunk)


def _answers(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    encoded: Mapping[str, Encoded],
    inputs: Mapping[str, keras.KerasTensor],
) -> dict[str, keras.KerasTensor]:
    """Returns every target's output from the features' branches."""
    branches = [with_indicator(name, e, inputs) for name, e in encoded.items()]
    fused = fuse(pipeline.model.fusion, branches)
    targets = {stored.name: stored for stored in manifest.stored if stored.role == "target"}
    outputs = {}
    for name, spec in pipeline.targets.items():
        x, entries = fused.wide.tensor, fused.wide.entries
        if spec.picture_size is not None:
            maps = [encoded[feature].maps for feature in pipeline.pictures_like(spec)]
            maps = [own for own in maps if own]
            x = decode(name, pipeline.decoder_of(name), spec.picture_size, fused.deep, maps)
            entries = None
        outputs[name] = head_of(spec).build(name, spec, targets[name], x, entries)
    return outputs


def _features(manifest: TransformManifest) -> list[StoredFeature]:
    return [stored for stored in manifest.inputs() if stored.role == "feature"]


def build_inputs(features: Iterable[StoredFeature]) -> dict[str, keras.KerasTensor]:
    """Returns an input, [B, *shape], for every stored feature and indicator."""
    return {s.name: keras.Input(s.shape, dtype=s.dtype, name=s.name) for s in features}


def with_indicator(name: str, encoded: Encoded, inputs: Mapping[str, keras.KerasTensor]) -> Vector:
    """Returns a feature's vector, [B, D], with its indicator as a part of it."""
    # Layers are named "<feature>.<what>": a feature's own name has no dot, so no two names clash.
    indicator = name + MISSING_SUFFIX
    if indicator not in inputs:
        return Vector(encoded.vector, (encoded.entries(name),))
    flat_B1 = keras.layers.Reshape((1,), name=f"{indicator}.flat")(inputs[indicator])
    joined_BD = keras.layers.Concatenate(name=f"{name}.with_indicator")([encoded.vector, flat_B1])
    return Vector(joined_BD, (encoded.entries(name), Segment(name=indicator, size=1)))


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
