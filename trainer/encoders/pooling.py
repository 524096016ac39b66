"""From many ids in a row to one vector. B batch, L ids, D width; id 0 pads and never counts."""

from __future__ import annotations

from typing import Any

import keras


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
    """How often a row has each id.

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
