"""Stored features as the columns of one matrix, for models that take nothing else.

All of it is TensorFlow's operations, so that the export computes the columns that a model was
fitted on. B rows, N ids, L steps, D columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from trainer.data.fair_shares import fair_shares
from transforms.contract.spec import Spec
from transforms.contract.workspace.manifest import StoredFeature

MOST_COLUMNS = 1_024  # 80 MB of 20,000 rows; their eigenvectors take a second or two
_MOST_IDS = 1_000  # of a category or a text that have a column of their own
_MOST_NUMBERS = 512  # of a series: longer ones are averaged over neighbouring steps
_SIDE = 8  # of a picture, in pixels
_SMALLEST_DEVIATION = 1e-12  # below it a column is constant, and is divided by 1 instead


def compact(stored: StoredFeature, values: Any) -> tf.Tensor:
    """Returns one feature's values small enough to keep those of many rows.

    Ids stay what they are, padding among numbers becomes 0, which is about their mean; series are
    averaged down to 512 numbers, pictures to 8x8 gray pixels.

    Args:
        stored: The feature.
        values: [B, *shape] of its dtype.

    Returns:
        int32 [B, N] of ids, else float32 [B, width].
    """
    width = compact_width(stored)
    if stored.cardinality is not None:
        return tf.reshape(tf.cast(values, tf.int32), [-1, width])
    numbers = tf.cast(values, tf.float32)
    if _is_picture(stored):
        gray_BHW1 = tf.reduce_mean(numbers, axis=-1, keepdims=True)
        small = tf.image.resize(gray_BHW1, [_SIDE, _SIDE], method="area")
        return tf.reshape(small / 255, [-1, width])
    numbers = tf.where(tf.math.is_finite(numbers), numbers, tf.zeros_like(numbers))
    if len(stored.shape) > 1:
        series_BLC = tf.reshape(numbers, [-1, stored.shape[0], math.prod(stored.shape[1:])])
        numbers = tf.einsum("blc,gl->bgc", series_BLC, _means_of_steps(stored))
    return tf.reshape(numbers, [-1, width])


def compact_width(stored: StoredFeature) -> int:
    """Returns how many numbers or ids `compact` makes of a row."""
    if _is_picture(stored):
        return _SIDE * _SIDE
    numbers = math.prod(stored.shape)
    if stored.cardinality is not None or len(stored.shape) < 2:
        return numbers
    return _groups(stored) * math.prod(stored.shape[1:])


def _is_picture(stored: StoredFeature) -> bool:
    is_pixels = stored.cardinality is None and stored.dtype == "uint8"
    return is_pixels and len(stored.shape) == 3


def _groups(stored: StoredFeature) -> int:
    """Returns how many groups of neighbouring steps a series is averaged to."""
    return min(stored.shape[0], max(1, _MOST_NUMBERS // math.prod(stored.shape[1:])))


def _means_of_steps(stored: StoredFeature) -> np.ndarray:
    """Returns the share that each step has in the mean of each group, float32 [groups, L]."""
    steps, groups = stored.shape[0], _groups(stored)
    starts = np.linspace(0, steps, groups, endpoint=False).astype(int)
    group_L = np.searchsorted(starts, np.arange(steps), side="right") - 1
    members_GL = np.float32(group_L == np.arange(groups)[:, np.newaxis])
    return np.asarray(members_GL / members_GL.sum(axis=1, keepdims=True))


class FeatureColumns(Spec):
    """The columns of one feature.

    Attributes:
        stored: The feature.
        form: Standardized "numbers"; "categories", with a column for each of the most frequent
            ids, the last one for all others; or "terms", a text's counts times their smooth inverse
            document frequency, scaled to length 1: Salton and Buckley, "Term-Weighting Approaches
            in Automatic Text Retrieval", 1988.
        columns: How many there are.
    """

    stored: StoredFeature
    form: Literal["numbers", "categories", "terms"]
    columns: int

    def chosen(self) -> np.ndarray:
        """Returns the numbers of a row that have a column, evenly spaced if not all have one."""
        width = compact_width(self.stored)
        return np.linspace(0, width, self.columns, endpoint=False).astype(int)


def columns_of(features: Sequence[StoredFeature]) -> tuple[FeatureColumns, ...]:
    """Returns the columns of features, at most `MOST_COLUMNS` in all, shared among them fairly."""
    shares = fair_shares([_wanted(stored) for stored in features], MOST_COLUMNS)
    return tuple(_columns(s, share) for s, share in zip(features, shares, strict=True) if share)


def _places(stored: StoredFeature) -> int:
    """Returns how many places of a row have ids of their own, as the bucket of each number does."""
    return compact_width(stored) if stored.kind == "numeric" else 1


def _wanted(stored: StoredFeature) -> int:
    if stored.cardinality is None:
        return compact_width(stored)
    return min(stored.cardinality, _MOST_IDS) * _places(stored)


def _columns(stored: StoredFeature, columns: int) -> FeatureColumns:
    if stored.kind == "text":
        return FeatureColumns(stored=stored, form="terms", columns=columns)
    # Without room for a column of every place's every bucket their numbers say what is most.
    crowded = _places(stored) > 1 and columns < _wanted(stored)
    if stored.cardinality is None or crowded:
        columns = min(columns, compact_width(stored))
        return FeatureColumns(stored=stored, form="numbers", columns=columns)
    return FeatureColumns(stored=stored, form="categories", columns=columns)


@keras.saving.register_keras_serializable(package="braid")
class DesignMatrix(keras.layers.Layer):  # type: ignore[misc]
    """The columns of a table's features.

    Args:
        features: What they are of, `FeatureColumns` or their JSON.
    """

    def __init__(
        self, features: Sequence[FeatureColumns | Mapping[str, Any]], **options: Any
    ) -> None:
        super().__init__(**{**options, "trainable": False, "dtype": "float32"})
        self.features = [
            FeatureColumns.model_validate_json(as_json(feature)) for feature in features
        ]
        self._offsets: dict[str, keras.Variable] = {}
        self._factors: dict[str, keras.Variable] = {}
        for feature in self.features:
            name, shape = feature.stored.name, (feature.columns,)
            if feature.form == "numbers":
                self._offsets[name] = self.add_weight(shape, "zeros", name=f"{name}.offset")
            if feature.form != "categories":
                self._factors[name] = self.add_weight(shape, "ones", name=f"{name}.factor")
        self.columns = sum(feature.columns for feature in self.features)
        self.built = True

    def adapt(self, rows: Mapping[str, np.ndarray]) -> None:
        """Learns means, deviations and frequencies.

        Args:
            rows: The training rows' values as `compact` gives them.
        """
        for feature in self.features:
            name = feature.stored.name
            if feature.form == "numbers":
                numbers_BD = rows[name][:, feature.chosen()]
                deviation_D = numbers_BD.std(axis=0, dtype=np.float64)
                deviation_D[deviation_D < _SMALLEST_DEVIATION] = 1.0
                self._offsets[name].assign(numbers_BD.mean(axis=0, dtype=np.float64))
                self._factors[name].assign(1 / deviation_D)
            if feature.form == "terms":
                counts_BD = _terms(feature, tf.constant(rows[name])).numpy()
                with_term_D = np.count_nonzero(counts_BD, axis=0)
                frequency_D = np.log((1 + len(counts_BD)) / (1 + with_term_D)) + 1
                self._factors[name].assign(frequency_D)

    def call(self, rows: Mapping[str, Any]) -> tf.Tensor:
        """Returns rows as `compact` gives them as float32 [B, D]."""
        parts = [self._encoded(feature, rows[feature.stored.name]) for feature in self.features]
        return tf.concat(parts, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {
            **super().get_config(),
            "features": [feature.model_dump(mode="json") for feature in self.features],
        }

    def _encoded(self, feature: FeatureColumns, values: tf.Tensor) -> tf.Tensor:
        name = feature.stored.name
        if feature.form == "categories":
            return _categories(feature, values)
        if feature.form == "numbers":
            numbers_BD = tf.gather(values, feature.chosen(), axis=1)
            return (numbers_BD - self._offsets[name]) * self._factors[name]
        return tf.math.l2_normalize(_terms(feature, values) * self._factors[name], axis=1)


def _categories(feature: FeatureColumns, ids_BN: tf.Tensor) -> tf.Tensor:
    places = _places(feature.stored)
    each = feature.columns // places
    columns_BN = tf.minimum(ids_BN, each - 1) + tf.range(places) * each
    if places == 1 and feature.stored.shape != ():
        # Id 0 of a list pads it.
        columns_BN = tf.where(ids_BN > 0, columns_BN, feature.columns)
    return _counts(columns_BN, feature.columns)


def _terms(feature: FeatureColumns, ids_BN: tf.Tensor) -> tf.Tensor:
    # Id 0 pads; the ids of rare terms are the high ones.
    return _counts(tf.where(ids_BN > 0, ids_BN, feature.columns), feature.columns)


def _counts(columns_BN: tf.Tensor, columns: int) -> tf.Tensor:
    """Returns how often each row names each column, float32 [B, columns]; others do not count."""
    counts = tf.math.bincount(columns_BN, minlength=columns, maxlength=columns, axis=-1)
    return tf.cast(tf.ensure_shape(counts, [None, columns]), tf.float32)


def as_json(spec: Spec | Mapping[str, Any]) -> str:
    """Returns the JSON of a layer's argument, which Keras gives back as a dict."""
    return spec.model_dump_json() if isinstance(spec, Spec) else json.dumps(spec)
