"""The network: one branch per feature, a join, one head per target. B batch, D width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras

from trainer.builder import build_declared
from trainer.decoders import decode
from trainer.encoders import encode_features
from trainer.fusion import fuse
from trainer.heads import head_of
from transforms.contract.manifest import MISSING_SUFFIX, StoredFeature, TransformManifest
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.targets import ImageTarget


def build_model(
    pipeline: PipelineSpec, manifest: TransformManifest, *, mixed_precision: bool = False
) -> keras.Model:
    """Builds the declared model.

    Args:
        pipeline: The declaration.
        manifest: What the shards hold.
        mixed_precision: Compute in float16. For training only: weights are float32 either way, so
            the same weights serve in a float32 model.

    Returns:
        A model that takes a dict of every stored feature and indicator, [B, *shape], and gives a
        dict of every target: a probability [B, 1], class probabilities [B, C], standardized
        numbers [B, ...] or a picture [B, H, W, C], all float32.

    Raises:
        DeclarationError: The declared builder cannot be called, or gives something else.
    """
    with _precision("mixed_float16" if mixed_precision else "float32"):
        if pipeline.model.builder is not None:
            return build_declared(pipeline.model.builder, pipeline, manifest)
        return _build(pipeline, manifest)


def _build(pipeline: PipelineSpec, manifest: TransformManifest) -> keras.Model:
    inputs = build_inputs(manifest.inputs())
    features = [stored for stored in manifest.inputs() if stored.role == "feature"]
    encoded = encode_features(pipeline, features, inputs)
    branches_BD = [with_indicator(name, e.vector, inputs) for name, e in encoded.items()]
    x_BD = fuse(pipeline.model.fusion, branches_BD)
    targets = {stored.name: stored for stored in manifest.stored if stored.role == "target"}
    outputs = {}
    for name, spec in pipeline.targets.items():
        x = x_BD
        if isinstance(spec, ImageTarget):
            maps = [encoded[feature].maps for feature in pipeline.pictures_like(spec)]
            size = (spec.height, spec.width)
            x = decode(name, pipeline.decoder_of(name), size, x_BD, [own for own in maps if own])
        outputs[name] = head_of(spec).build(name, spec, targets[name], x)
    return keras.Model(inputs, outputs, name="braid")


def build_inputs(features: Iterable[StoredFeature]) -> dict[str, keras.KerasTensor]:
    """Returns an input, [B, *shape], for every stored feature and indicator."""
    return {s.name: keras.Input(s.shape, dtype=s.dtype, name=s.name) for s in features}


def with_indicator(
    name: str, x_BD: keras.KerasTensor, inputs: dict[str, keras.KerasTensor]
) -> keras.KerasTensor:
    """Returns a feature's vector, [B, D], with its indicator as a part of it."""
    # Layers are named "<feature>.<what>": a feature's own name has no dot, so no two names clash.
    indicator = name + MISSING_SUFFIX
    if indicator not in inputs:
        return x_BD
    flat_B1 = keras.layers.Reshape((1,), name=f"{indicator}.flat")(inputs[indicator])
    return keras.layers.Concatenate(name=f"{name}.with_indicator")([x_BD, flat_B1])


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
