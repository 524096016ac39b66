"""The transform graph: traced by TFT from the declaration, saved as a SavedModel of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from transforms.contract.columns.features import FeatureSpec, RawColumn
from transforms.contract.columns.kinds import is_user_kind
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import MISSING_SUFFIX, UNUSABLE_SUFFIX, WEIGHT_SUFFIX
from transforms.graph.fitted import fit
from transforms.graph.packing import not_packed, pack_columns, packed_columns, packs, unpack_outputs
from transforms.graph.tft import Tensors, traced_by_tft
from transforms.kinds.features import CUT_ROWS, PACKED_KINDS, USABLE, feature_kind, image
from transforms.kinds.own_kinds import encode_finite, finite_requests, own_features
from transforms.kinds.requests import Fitted, Request
from transforms.kinds.targets import TARGET_KINDS

_NOTHING = Fitted({}, {}, {})
_TF_DTYPES = {"string": tf.string, "bytes": tf.string, "float32": tf.float32}


def tensor_spec(raw: RawColumn) -> tf.TensorSpec:
    """Returns the graph's input for a source column."""
    return tf.TensorSpec([None, *raw.shape], _TF_DTYPES[raw.dtype])


def raw_columns(pipeline: PipelineSpec, *, with_targets: bool) -> dict[str, RawColumn]:
    """Returns what the graph takes, by the input's name."""
    raws = list(pipeline.raw_features().values())
    if with_targets:
        raws += pipeline.raw_targets().values()
    return {raw.name: raw for raw in raws}


def requests_of(pipeline: PipelineSpec, inputs: Mapping[str, tf.Tensor]) -> list[Request]:
    """Returns what the kinds ask of the training rows, with the tensors to ask it of.

    Args:
        pipeline: The declaration.
        inputs: What `packed_columns` names.
    """
    requests: list[Request] = []
    side_by_side = packs(pipeline)
    raws = _usable_features(pipeline, inputs)
    for name, feature in not_packed(pipeline, side_by_side).items():
        asked = feature_kind(feature.kind).requests(name, feature, raws[name])
        requests += finite_requests(asked) if is_user_kind(feature.kind) else asked
    for pack in side_by_side:
        asked = PACKED_KINDS[pack.spec.kind].requests(pack.name, pack.spec, inputs[pack.raw.name])
        requests += [replace(request, members=pack.names) for request in asked]
    for name, target in pipeline.targets.items():
        raw = inputs[pipeline.raw_targets()[name].name]
        requests += TARGET_KINDS[target.kind].requests(name, target, raw)
    return requests


def missing_rows(
    pipeline: PipelineSpec, inputs: Mapping[str, tf.Tensor], names: Sequence[str]
) -> Tensors:
    """Returns how many rows have no value, int64 [], of some features and targets.

    Args:
        pipeline: The declaration.
        inputs: What `packed_columns` names.
        names: The features and targets; none of them is packed.
    """
    raws = pipeline.raw_features() | pipeline.raw_targets()
    usable = _usable_features(pipeline, inputs)
    missing = {n: is_missing(raws[n], usable.get(n, inputs[raws[n].name])) for n in names}
    return {n: tf.math.count_nonzero(rows) for n, rows in missing.items()}


def cut_rows(pipeline: PipelineSpec, inputs: Mapping[str, tf.Tensor]) -> Tensors:
    """Returns how many rows have more terms than are kept, int64 [], of every text.

    Args:
        pipeline: The declaration.
        inputs: What `packed_columns` names.
    """
    raws = _usable_features(pipeline, inputs)
    return {
        name: CUT_ROWS[feature.kind](feature, raws[name])
        for name, feature in pipeline.column_features().items()
        if feature.kind in CUT_ROWS
    }


def _usable_features(pipeline: PipelineSpec, inputs: Mapping[str, tf.Tensor]) -> Tensors:
    raws = pipeline.raw_features()
    return {
        name: _usable(feature, inputs[raws[name].name])
        for name, feature in not_packed(pipeline, packs(pipeline)).items()
    }


def preprocessing_fn(pipeline: PipelineSpec, statistics: Path) -> Callable[[Tensors], Tensors]:
    """Returns the TFT preprocessing function of a declaration.

    It takes what `packed_columns` names and gives every stored feature, indicator, target and
    weight, packed likewise, but no pictures: nothing of the training rows bears on them, and TFT
    has no type for pixels.

    Args:
        pipeline: The declaration.
        statistics: The folder of the frozen statistics.
    """
    features, targets = pipeline.raw_features(), pipeline.raw_targets()
    side_by_side = packs(pipeline)

    def preprocess(inputs: Tensors) -> Tensors:
        raws = _usable_features(pipeline, inputs)
        fitted = fit(requests_of(pipeline, inputs), statistics)
        outputs: Tensors = {}
        for name, feature in not_packed(pipeline, side_by_side).items():
            if is_user_kind(feature.kind):
                outputs |= encode_finite(name, feature, features[name], raws[name], fitted)
            elif feature.picture_size is None:
                outputs[name] = feature_kind(feature.kind).encode(name, feature, raws[name], fitted)
            if feature.has_indicator:
                missing = is_missing(features[name], raws[name])
                outputs[name + MISSING_SUFFIX] = tf.cast(missing, tf.float32)
            if feature.has_indicator and name + UNUSABLE_SUFFIX in outputs:
                flags = (outputs[name + suffix] for suffix in (MISSING_SUFFIX, UNUSABLE_SUFFIX))
                outputs[name + MISSING_SUFFIX] = tf.maximum(*flags)
        for pack in side_by_side:
            packed = inputs[pack.raw.name]
            kind = PACKED_KINDS[pack.spec.kind]
            outputs[pack.name] = kind.encode(pack.name, pack.spec, packed, fitted)
            if pack.spec.has_indicator:
                missing = ~tf.math.is_finite(packed)
                outputs[pack.name + MISSING_SUFFIX] = tf.cast(missing, tf.float32)
        for name, target in pipeline.targets.items():
            if target.picture_size is None:
                raw = inputs[targets[name].name]
                outputs |= _labels(name, target, raw, fitted)
        return outputs

    return preprocess


def _labels(name: str, target: Any, raw: tf.Tensor, fitted: Fitted) -> Tensors:
    label, known = TARGET_KINDS[target.kind].encode(name, target, raw, fitted)
    return {name: label, name + WEIGHT_SUFFIX: tf.cast(known, tf.float32)}


def _usable(feature: FeatureSpec, raw: tf.Tensor) -> tf.Tensor:
    """Returns a column with a missing value where a served one is invalid."""
    usable = USABLE.get(feature.kind)
    return raw if usable is None else usable(feature, raw)


def is_missing(raw: RawColumn, tensor: tf.Tensor) -> tf.Tensor:
    """Returns whether a raw value is missing, bool [batch].

    Of a list of a fixed length that is any of its entries; of a padded list, and of a series, all.
    """
    missing = tensor == "" if tensor.dtype == tf.string else ~tf.math.is_finite(tensor)
    reduce = tf.reduce_all if raw.padded or len(raw.shape) > 1 else tf.reduce_any
    return reduce(missing, axis=list(range(1, 1 + len(raw.shape)))) if raw.shape else missing


def is_learnt(pipeline: PipelineSpec) -> bool:
    """Returns whether there is anything for TFT to transform, which refuses to give nothing."""
    features, targets = pipeline.column_features().values(), pipeline.targets.values()
    return any(f.picture_size is None or f.has_indicator for f in features) or any(
        target.picture_size is None for target in targets
    )


class TransformGraph(tf.Module):  # type: ignore[misc]
    """The module that lies in `graph/`: the frozen transform as two functions of raw columns.

    `transform` takes features and targets and gives what shards store. `transform_features` takes
    the features only and gives what the model takes. Both say of the users' kinds which values they
    cannot encode.

    Args:
        pipeline: The declaration.
        statistics: The folder of the frozen statistics.
    """

    def __init__(self, pipeline: PipelineSpec, statistics: Path) -> None:
        super().__init__()
        specs = {name: tensor_spec(raw) for name, raw in packed_columns(pipeline).items()}
        preprocess = preprocessing_fn(pipeline, statistics)
        self._tft = traced_by_tft(preprocess, specs) if is_learnt(pipeline) else None
        columns = raw_columns(pipeline, with_targets=True)
        images: dict[str, Any] = {
            n: f for n, f in pipeline.column_features().items() if f.picture_size is not None
        }
        targets = {n: t for n, t in pipeline.targets.items() if t.picture_size is not None}
        raws = pipeline.raw_features() | pipeline.raw_targets()
        learnt = [n for n in pipeline.column_features() if n not in images]
        learnt += [n + MISSING_SUFFIX for n, f in pipeline.features.items() if f.has_indicator]
        flags = [name + UNUSABLE_SUFFIX for name in own_features(pipeline)]

        def numbers(raw: Tensors) -> Tensors:
            if self._tft is None:
                return {}
            packed = pack_columns(pipeline, _completed(raw, columns))
            outputs = self._tft.transform_fn(packed)
            for name, traced in self._tft.transform_fn.structured_outputs.items():
                outputs[name].set_shape(traced.shape)  # which the call of a traced function loses
            return unpack_outputs(pipeline, outputs)

        def pictures(raw: Mapping[str, tf.Tensor]) -> Tensors:
            return {n: image.encode(n, f, raw[raws[n].name], _NOTHING) for n, f in images.items()}

        def transform(raw: Mapping[str, tf.Tensor]) -> Tensors:
            outputs = numbers(dict(raw)) | pictures(raw)
            for name, target in targets.items():
                outputs |= _labels(name, target, raw[raws[name].name], _NOTHING)
            return outputs

        def transform_features(raw: Mapping[str, tf.Tensor]) -> Tensors:
            outputs, stored = numbers(dict(raw)) if learnt else {}, pictures(raw)
            decoded = {n: image.decode_stored(images[n], stored[n]) for n in images}
            # A user's kind that stores ids has no flag.
            return {n: outputs[n] for n in [*learnt, *flags] if n in outputs} | decoded

        self.transform = _traced(transform, raw_columns(pipeline, with_targets=True))
        self.transform_features = _traced(
            transform_features, raw_columns(pipeline, with_targets=False)
        )


def _completed(raw: Tensors, columns: Mapping[str, RawColumn]) -> Tensors:
    """Adds the columns of targets, all missing, to those of features: TFT's function takes all."""
    rows = tf.shape(next(iter(raw.values())))[:1]
    return {
        name: raw[name] if name in raw else tf.fill(tf.concat([rows, column.shape], 0), blank)
        for name, column in columns.items()
        for blank in [float("nan") if column.dtype == "float32" else ""]
    }


def _traced(
    function: Callable[..., Tensors], raws: Mapping[str, RawColumn]
) -> tf.types.experimental.PolymorphicFunction:
    signature = [{name: tensor_spec(raw) for name, raw in raws.items()}]
    # Nothing here is Python control flow on tensors; AutoGraph would only take its two seconds.
    return tf.function(function, input_signature=signature, autograph=False)
