"""The transform graph: traced by TFT from the declaration, saved as a SavedModel of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from transforms.contract.features import Categorical, FeatureSpec, Image, RawColumn
from transforms.contract.manifest import MISSING_SUFFIX, WEIGHT_SUFFIX
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.targets import ImageTarget
from transforms.features import categorical, feature_kind, image
from transforms.fitted import fit
from transforms.requests import Fitted, Request
from transforms.targets import TARGET_KINDS

Tensors = dict[str, tf.Tensor]
_NOTHING = Fitted({}, {}, {})
_TF_DTYPES = {"string": tf.string, "bytes": tf.string, "float32": tf.float32}


def tensor_spec(raw: RawColumn) -> tf.TensorSpec:
    """Returns the graph's input for a source column."""
    return tf.TensorSpec([None, *raw.shape], _TF_DTYPES[raw.dtype])


def raw_columns(pipeline: PipelineSpec, *, with_targets: bool) -> dict[str, RawColumn]:
    """Returns what the graph takes, by source column."""
    raws = list(pipeline.raw_features().values())
    if with_targets:
        raws += pipeline.raw_targets().values()
    return {raw.name: raw for raw in raws}


def requests_of(pipeline: PipelineSpec, inputs: Mapping[str, tf.Tensor]) -> list[Request]:
    """Returns what the kinds ask of the training rows, with the tensors to ask it of.

    Args:
        pipeline: The declaration.
        inputs: Every raw column.
    """
    requests: list[Request] = []
    raws = _usable_features(pipeline, inputs)
    for name, feature in pipeline.column_features().items():
        requests += feature_kind(feature.kind).requests(name, feature, raws[name])
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
        inputs: Every raw column.
        names: The features and targets.
    """
    raws = pipeline.raw_features() | pipeline.raw_targets()
    usable = _usable_features(pipeline, inputs)
    missing = {n: is_missing(raws[n], usable.get(n, inputs[raws[n].name])) for n in names}
    return {n: tf.math.count_nonzero(rows) for n, rows in missing.items()}


def _usable_features(pipeline: PipelineSpec, inputs: Mapping[str, tf.Tensor]) -> Tensors:
    raws = pipeline.raw_features()
    return {
        name: _usable(feature, inputs[raws[name].name])
        for name, feature in pipeline.column_features().items()
    }


def preprocessing_fn(pipeline: PipelineSpec, statistics: Path) -> Callable[[Tensors], Tensors]:
    """Returns the TFT preprocessing function of a declaration.

    It takes every raw column and gives every stored feature, indicator, target and weight, but no
    pictures: nothing of the training rows bears on them, and TFT has no type for pixels.

    Args:
        pipeline: The declaration.
        statistics: The folder of the frozen statistics.
    """
    features, targets = pipeline.raw_features(), pipeline.raw_targets()

    def preprocess(inputs: Tensors) -> Tensors:
        raws = _usable_features(pipeline, inputs)
        fitted = fit(requests_of(pipeline, inputs), statistics)
        outputs: Tensors = {}
        for name, feature in pipeline.column_features().items():
            if not isinstance(feature, Image):
                outputs[name] = feature_kind(feature.kind).encode(name, feature, raws[name], fitted)
            if feature.has_indicator:
                missing = is_missing(features[name], raws[name])
                outputs[name + MISSING_SUFFIX] = tf.cast(missing, tf.float32)
        for name, target in pipeline.targets.items():
            if not isinstance(target, ImageTarget):
                raw = inputs[targets[name].name]
                outputs |= _labels(name, target, raw, fitted)
        return outputs

    return preprocess


def _labels(name: str, target: Any, raw: tf.Tensor, fitted: Fitted) -> Tensors:
    label, known = TARGET_KINDS[target.kind].encode(name, target, raw, fitted)
    return {name: label, name + WEIGHT_SUFFIX: tf.cast(known, tf.float32)}


def _usable(feature: FeatureSpec, raw: tf.Tensor) -> tf.Tensor:
    """Returns a column with a missing value where a served one is invalid."""
    # Numbers show by themselves that they are not finite, and a picture fails its request.
    return categorical.usable(feature, raw) if isinstance(feature, Categorical) else raw


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
    return any(
        not isinstance(feature, Image) or feature.has_indicator for feature in features
    ) or any(not isinstance(target, ImageTarget) for target in targets)


class TransformGraph(tf.Module):  # type: ignore[misc]
    """What lies in `graph/`: the frozen transform as two functions of raw columns.

    `transform` takes features and targets and gives what shards store. `transform_features` takes
    the features only and gives what the model takes.
    """

    def __init__(self, pipeline: PipelineSpec, transform_output: Path) -> None:
        super().__init__()
        # Not TFT's own layer: saving it traces everything again, for a Keras that is not used.
        self._tft = None
        if is_learnt(pipeline):
            output = tft.TFTransformOutput(str(transform_output))
            self._tft = tf.saved_model.load(output.transform_savedmodel_dir)
        columns = raw_columns(pipeline, with_targets=True)
        images = {n: f for n, f in pipeline.column_features().items() if isinstance(f, Image)}
        targets = {n: t for n, t in pipeline.targets.items() if isinstance(t, ImageTarget)}
        raws = pipeline.raw_features() | pipeline.raw_targets()
        learnt = [n for n in pipeline.column_features() if n not in images]
        learnt += [n + MISSING_SUFFIX for n, f in pipeline.features.items() if f.has_indicator]

        def numbers(raw: Tensors) -> Tensors:
            return dict(self._tft.transform_fn(_completed(raw, columns))) if self._tft else {}

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
            return {n: outputs[n] for n in learnt} | decoded

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
