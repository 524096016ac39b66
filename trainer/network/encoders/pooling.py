"""From many ids in a row to one vector. B batch, L ids, D width; id 0 pads and never counts."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from transforms.contract.columns.features import FIRST_TERM

_TERM_DEVIATION = 0.5  # of a learnt term's numbers, at first


@keras.saving.register_keras_serializable(package="braid")
class KnownIds(keras.layers.Layer):  # type: ignore[misc]
    """True for every id, False for padding."""

    def call(self, ids_BL: Any) -> Any:
        """Returns bool [B, L]."""
        return keras.ops.not_equal(ids_BL, 0)


@keras.saving.register_keras_serializable(package="braid")
class PresentMean(keras.layers.Layer):  # type: ignore[misc]
    """The mean of the vectors that are not padding; 0 for a row without any.

    Keras's own average pooling divides by 0 there.
    """

    def call(self, x_BLD: Any, mask_BL: Any) -> Any:
        """Returns [B, D] from the vectors [B, L, D] and what is no padding, bool [B, L]."""
        mask_BL1 = keras.ops.cast(mask_BL, x_BLD.dtype)[..., None]
        present_B1 = keras.ops.maximum(keras.ops.sum(mask_BL1, axis=1), 1)
        return keras.ops.sum(x_BLD * mask_BL1, axis=1) / present_B1


@keras.saving.register_keras_serializable(package="braid")
class IdCounts(keras.layers.Layer):  # type: ignore[misc]
    """The number of times that a row has each id.

    Keras's CategoryEncoding makes a one-hot vector per place first, which for a text and its
    vocabulary does not fit into memory.

    Args:
        ids: The number of ids.
        first: The ids below it are not counted.
        **options: Those of every layer.
    """

    def __init__(self, ids: int, first: int, **options: Any) -> None:
        super().__init__(**options)
        self.ids, self.first = ids, first

    def call(self, ids_BL: Any) -> Any:
        """Returns [B, ids - first]."""
        ops = keras.ops
        ids_BL = ops.cast(ids_BL, "int32")
        rows, length = ops.shape(ids_BL)[0], ids_BL.shape[1]
        rows_BL = ops.broadcast_to(ops.arange(rows)[:, None], (rows, length))
        places = ops.reshape(ops.stack([rows_BL, ids_BL], axis=-1), (-1, 2))
        ones = ops.ones((rows * length,), self.compute_dtype)
        counts_BI = ops.scatter(places, ones, (rows, self.ids))
        return ops.reshape(counts_BI, (-1, self.ids))[:, self.first :]

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {**super().get_config(), "ids": self.ids, "first": self.first}


@keras.saving.register_keras_serializable(package="braid")
class Weighted(keras.layers.Layer):  # type: ignore[misc]
    """The product with fixed weights, scaled to a length of 1; a row of zeros stays so.

    Args:
        weights: One per column.
        **options: Those of every layer.
    """

    def __init__(self, weights: list[float], **options: Any) -> None:
        super().__init__(**options)
        self.weights_D = list(weights)

    def call(self, x_BD: Any) -> Any:
        """Returns [B, D]."""
        # In float32: float16 has no room for the squares of a long text.
        x_BD = keras.ops.cast(x_BD, "float32")
        x_BD = x_BD * keras.ops.convert_to_tensor(self.weights_D, "float32")
        return keras.ops.cast(keras.ops.normalize(x_BD, axis=-1), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {**super().get_config(), "weights": self.weights_D}


@keras.saving.register_keras_serializable(package="braid")
class TermSum(keras.layers.Layer):  # type: ignore[misc]
    """The sum of the learnt vectors of a row's terms, each weighed, scaled to a length of 1.

    It is the product of a row's weighed counts, divided by their length, with a matrix, without
    the zeros that nearly all of these counts are. Ids below the first term are left out.

    Args:
        ids: The number of ids.
        units: The width of a vector.
        weights: One per id; None weighs every term as 1 and leaves the counts as they are.
        dropout: The share of the terms that are left out in training.
        **options: Those of every layer.
    """

    # What it gathers depends on the row, for which XLA has no shapes.
    supports_jit = False

    def __init__(
        self,
        ids: int,
        units: int,
        weights: list[float] | None = None,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.ids, self.units, self.dropout = ids, units, dropout
        self.weights_I = None if weights is None else list(weights)
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, shape: Any) -> None:
        """Makes a vector per id."""
        del shape
        # A row of one length gives numbers of about one size, as those of other features are.
        initial = keras.initializers.RandomNormal(stddev=_TERM_DEVIATION)
        self.embeddings_ID = self.add_weight(
            shape=(self.ids, self.units), initializer=initial, name="embeddings"
        )

    def call(self, ids_BL: Any, training: bool = False) -> Any:
        """Returns [B, units]."""
        ids_BL = tf.cast(ids_BL, tf.int64)
        rows = tf.shape(ids_BL, tf.int64)[0]
        places = tf.where(ids_BL >= FIRST_TERM)
        # Equal terms of a row become one, with their number.
        keys, _, counts = tf.unique_with_counts(
            places[:, 0] * self.ids + tf.gather_nd(ids_BL, places)
        )
        rows_K, terms_K = keys // self.ids, keys % self.ids
        weights_K = tf.cast(counts, tf.float32)
        if self.weights_I is not None:
            weights_K *= tf.gather(tf.constant(self.weights_I, tf.float32), terms_K)
            lengths_B = tf.math.unsorted_segment_sum(weights_K**2, rows_K, rows)
            weights_K *= tf.gather(tf.math.rsqrt(tf.maximum(lengths_B, 1e-12)), rows_K)
        if training and self.dropout:
            weights_K = keras.random.dropout(weights_K, self.dropout, seed=self.seed_generator)
        vectors_KD = tf.gather(tf.convert_to_tensor(self.embeddings_ID), terms_K)
        weighed_KD = tf.cast(vectors_KD, tf.float32) * weights_K[:, None]
        sums_BD = tf.math.unsorted_segment_sum(weighed_KD, rows_K, rows)
        return tf.ensure_shape(tf.cast(sums_BD, self.compute_dtype), [None, self.units])

    def compute_output_spec(self, ids_BL: Any, training: bool = False) -> keras.KerasTensor:
        """Returns what `call` gives."""
        del training
        return keras.KerasTensor((ids_BL.shape[0], self.units), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {
            **super().get_config(),
            **{"ids": self.ids, "units": self.units, "weights": self.weights_I},
            "dropout": self.dropout,
        }
