"""Numbers to vectors. B batch, D width, L numbers in a row, N numbers of all features, P pieces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from trainer.network.axes import Segment, with_axes
from trainer.network.encoders.embedding import cardinality_of
from transforms.contract.columns.numbers import LARGEST_FLOAT32
from transforms.contract.network.encoders import DenseEncoder, PiecewiseEncoder
from transforms.contract.workspace.manifest import StoredFeature


def dense(
    name: str, spec: DenseEncoder, stored: StoredFeature, values: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns numbers, or the one-hot vectors of their buckets, through dense layers.

    Args:
        name: The feature's name.
        spec: The dense layers.
        stored: float32 for numbers, int64 for buckets; shape () or (L,).
        values: [B] or [B, L].

    Returns:
        float [B, D].
    """
    x_BD = _flat(name, stored, values)
    for index, units in enumerate(spec.units):
        x_BD = keras.layers.Dense(units, activation="relu", name=f"{name}.dense_{index}")(x_BD)
    return x_BD


def piecewise(
    name: str, spec: PiecewiseEncoder, stored: StoredFeature, values: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns each number with its piecewise-linear vector, [B, L * (1 + units)].

    Args:
        name: The feature's name.
        spec: The vectors' width.
        stored: float32 of shape () or (L,), with the edges of the pieces; or int64 for buckets.
        values: [B] or [B, L].
    """
    return piecewise_of_all(spec, {name: stored}, {name: values})[name]


def piecewise_of_all(
    spec: PiecewiseEncoder, stored: Mapping[str, StoredFeature], values: Mapping[str, Any]
) -> dict[str, keras.KerasTensor]:
    """Returns what `piecewise` gives of each feature, by one layer for all of their numbers.

    A layer a feature would make the model of a table of hundreds of columns slow to build and run.
    """
    flat = {name: _flat(name, stored[name], values[name]) for name in stored}
    with_edges = {n: s for n, s in stored.items() if any(len(edges) > 1 for edges in s.edges)}
    if not with_edges:
        return flat
    first = next(iter(with_edges))
    edges = {name: own.edges for name, own in with_edges.items()}
    numbers = [flat[name] for name in with_edges]
    numbers_of_all = tuple(Segment(name=n, size=len(own)) for n, own in edges.items())
    joined_BN = _joined(f"{first}.numbers", numbers, dtype="float32")
    vectors_BND = with_axes(
        PiecewiseLinear(edges, spec.units, name=f"{first}.piecewise"),
        kernel=(numbers_of_all, None, None),
        bias=(numbers_of_all, None),
    )(joined_BN)
    start = 0
    for name, own in with_edges.items():
        end = start + len(own.edges)
        flat[name] = Columns(start, end, name=f"{name}.pieces")(vectors_BND)
        start = end
    return flat


def _flat(name: str, stored: StoredFeature, values: keras.KerasTensor) -> keras.KerasTensor:
    if stored.dtype == "int64":
        values = keras.layers.CategoryEncoding(
            cardinality_of(stored), output_mode="one_hot", name=f"{name}.one_hot"
        )(values)
    # In mixed precision, too, two numbers of one piece are to be told apart.
    return keras.layers.Reshape((-1,), dtype="float32", name=f"{name}.flat")(values)


def _joined(
    name: str, tensors: Sequence[keras.KerasTensor], dtype: str | None = None
) -> keras.KerasTensor:
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate(name=name, dtype=dtype)(list(tensors))


@keras.saving.register_keras_serializable(package="braid")
class PiecewiseLinear(keras.layers.Layer):  # type: ignore[misc]
    """Each number, and a learnt vector of it that is linear between the edges.

    Both are constant beyond the edges, the ends of the training rows: what lies beyond them is
    nothing that was learnt from, and a line would be followed as far as it goes.

    With the piecewise-linear encoding e(x) of Gorishniy, Rubachev and Babenko, "On Embeddings for
    Numerical Features in Tabular Deep Learning", 2022, the vector is e(x) W + b, with W and b of
    each number its own. A piece that x lies beyond counts as a whole.

    Args:
        edges: Of each feature's each number, rising; fewer than two make its vector constant, and
            hold no number.
        units: The width of a vector.
        **options: Those of every layer.
    """

    def __init__(
        self, edges: Mapping[str, Sequence[Sequence[float]]], units: int, **options: Any
    ) -> None:
        # Keras would round the numbers before the layer sees them.
        super().__init__(**{**options, "autocast": False})
        self.edges = {name: [list(column) for column in own] for name, own in edges.items()}
        self.units = units
        columns = [column for own in self.edges.values() for column in own]
        self.numbers = len(columns)
        self.pieces = max(1, *(len(column) - 1 for column in columns))
        self._low_NP = np.zeros((self.numbers, self.pieces), np.float32)
        self._inverse_NP = np.zeros_like(self._low_NP)
        self._ends_2N = np.array([[-np.inf], [np.inf]], np.float32).repeat(self.numbers, axis=1)
        for row, column in enumerate(columns):
            if len(column) > 1:
                self._low_NP[row, : len(column) - 1] = column[:-1]
                inverse = np.minimum(1 / np.diff(column), LARGEST_FLOAT32)
                self._inverse_NP[row, : len(column) - 1] = inverse
                self._ends_2N[:, row] = column[0], column[-1]

    def build(self, shape: Any) -> None:
        """Makes a vector for each piece of each number."""
        del shape
        initial = keras.initializers.RandomNormal(stddev=1 / math.sqrt(self.pieces))
        self.kernel_NPD = self.add_weight(
            shape=(self.numbers, self.pieces, self.units), initializer=initial, name="kernel"
        )
        self.bias_ND = self.add_weight(
            shape=(self.numbers, self.units), initializer="zeros", name="bias"
        )

    def call(self, x_BN: Any) -> Any:
        """Returns [B, N, 1 + units] of the numbers [B, N]."""
        ops = keras.ops
        x_BN = ops.minimum(
            ops.maximum(ops.cast(x_BN, "float32"), self._ends_2N[0]), self._ends_2N[1]
        )
        x_BN1 = x_BN[:, :, None]
        share_BNP = ops.clip((x_BN1 - self._low_NP) * self._inverse_NP, 0.0, 1.0)
        share_BNP = ops.cast(share_BNP, self.compute_dtype)
        kernel_NPD = ops.cast(self.kernel_NPD, self.compute_dtype)
        x_BND = ops.einsum("bnp,npd->bnd", share_BNP, kernel_NPD)
        x_BND = x_BND + ops.cast(self.bias_ND, self.compute_dtype)
        return ops.concatenate([ops.cast(x_BN1, self.compute_dtype), x_BND], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {**super().get_config(), "edges": self.edges, "units": self.units}


@keras.saving.register_keras_serializable(package="braid")
class Columns(keras.layers.Layer):  # type: ignore[misc]
    """Neighbouring numbers' vectors, side by side.

    Args:
        start: The first number.
        end: The one after the last.
        **options: Those of every layer.
    """

    def __init__(self, start: int, end: int, **options: Any) -> None:
        super().__init__(**options)
        self.start, self.end = start, end

    def call(self, vectors_BND: Any) -> Any:
        """Returns [B, (end - start) * D]."""
        width = (self.end - self.start) * vectors_BND.shape[-1]
        return keras.ops.reshape(vectors_BND[:, self.start : self.end], (-1, width))

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {**super().get_config(), "start": self.start, "end": self.end}
