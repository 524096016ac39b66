"""Series by random kernels, by learnt convolutions and step by step.

B batch, L steps, C channels, F filters, K kernels, D width. NaN pads at the end.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from trainer.network.dropout import Dropout
from trainer.network.encoders.ordered import ZeroPadding
from trainer.network.encoders.pooling import PresentMean
from trainer.network.encoders.sequence import KnownSteps, NoNan
from trainer.network.normalization import by_row
from transforms.contract.network.encoders import SignalEncoder
from transforms.contract.workspace.manifest import StoredFeature

_KERNEL_STEPS = 9  # of a random kernel, as the shorter of those of ROCKET
_CHANNELS = 2  # that a random kernel looks at, about
_KERNEL_MOMENTUM = 0.97  # a small table's training has some hundred steps
_SMALLEST_VARIANCE = 1e-4  # shares of steps, whose variance is of about this size, are normalized
_FIRST_FILTER, _FILTER = 7, 5  # steps that the learnt convolutions see


def signal(
    name: str, spec: SignalEncoder, stored: StoredFeature, x_BLC: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the three views of a series side by side, [B, 2 * F + units + 2 * K]."""
    layers = keras.layers
    mask_BL = None
    if stored.padded:
        mask_BL = KnownSteps(name=f"{name}.known")(x_BLC)
        x_BLC = NoNan(name=f"{name}.filled")(x_BLC)
    views = _learnt(name, spec, x_BLC, mask_BL)
    flat_BD = layers.Flatten(name=f"{name}.flat")(x_BLC)
    views.append(layers.Dense(spec.units, activation="relu", name=f"{name}.steps")(flat_BD))
    answers_BK = RandomKernels(spec.kernels, name=f"{name}.kernels")(x_BLC, mask_BL)
    answers_BK = layers.BatchNormalization(
        momentum=_KERNEL_MOMENTUM,
        epsilon=_SMALLEST_VARIANCE,
        center=False,
        scale=False,
        name=f"{name}.kernels_norm",
    )(answers_BK)
    views.append(Dropout(spec.dropout, name=f"{name}.kernels_dropout")(answers_BK))
    return layers.Concatenate(name=f"{name}.views")(views)


def _learnt(
    name: str, spec: SignalEncoder, x_BLC: keras.KerasTensor, mask_BL: keras.KerasTensor | None
) -> list[keras.KerasTensor]:
    """Returns mean and maximum over the steps of the last convolution, [B, F] each."""
    layers = keras.layers
    if not spec.filters:
        return []
    for index, count in enumerate(spec.filters):
        block = f"{name}.{index}"
        if index:
            x_BLC = layers.MaxPooling1D(2, padding="same", name=f"{block}.halved")(x_BLC)
            mask_BL = None if mask_BL is None else mask_BL[:, ::2]
        size = _FILTER if index else _FIRST_FILTER
        x_BLC = layers.Conv1D(count, size, padding="same", name=f"{block}.conv")(x_BLC)
        x_BLC = by_row(count, name=f"{block}.norm")(x_BLC)
        x_BLC = layers.ReLU(name=f"{block}.relu")(x_BLC)
        if mask_BL is not None:
            x_BLC = ZeroPadding(name=f"{block}.answers")(x_BLC, mask_BL)
    mean = layers.GlobalAveragePooling1D(name=f"{name}.mean")
    if mask_BL is not None:
        mean_BF = PresentMean(name=f"{name}.mean")(x_BLC, mask_BL)
    else:
        mean_BF = mean(x_BLC)
    return [mean_BF, layers.GlobalMaxPooling1D(name=f"{name}.strongest")(x_BLC)]


@keras.saving.register_keras_serializable(package="braid")
class RandomKernels(keras.layers.Layer):  # type: ignore[misc]
    """The answers of fixed random kernels to a series: how often and how strongly.

    Each kernel has weights of mean 0, a random bias, and steps that lie 1, 2, 4, ... apart, as far
    as the series is long. Of its answers the share above 0 and the maximum are given.

    Dempster, Petitjean and Webb, "ROCKET: Exceptionally Fast and Accurate Time Series
    Classification Using Random Convolutional Kernels", 2020.

    Args:
        kernels: Their number.
        **options: Those of every layer.
    """

    def __init__(self, kernels: int, **options: Any) -> None:
        super().__init__(**options)
        self.kernels = kernels

    # Keras matches the arguments of these methods with those of `call` by their names.
    def build(self, x_BLC_shape: Any, mask_BL_shape: Any = None) -> None:
        """Draws the kernels; they are weights that are saved and never learnt."""
        del mask_BL_shape
        steps, channels = x_BLC_shape[1:]
        most = max(1, int(math.log2(max(1, (steps - 1) / (_KERNEL_STEPS - 1)))) + 1)
        counts = [len(part) for part in np.array_split(range(self.kernels), most)]
        self._dilated = []
        for power, count in enumerate(counts):
            if count:
                weights = self.add_weight(
                    shape=(_KERNEL_STEPS, channels, count),
                    initializer=_Kernels(),
                    trainable=False,
                    name=f"kernel_{power}",
                )
                bias = self.add_weight(
                    shape=(count,),
                    initializer=keras.initializers.RandomUniform(-1, 1),
                    trainable=False,
                    name=f"bias_{power}",
                )
                self._dilated.append((2**power, weights, bias))

    def call(self, x_BLC: Any, mask_BL: Any = None) -> Any:
        """Returns [B, 2 * kernels]."""
        ops = keras.ops
        answers = []
        for dilation, kernel, bias in self._dilated:
            kernel = ops.cast(kernel, x_BLC.dtype)
            x_BLK = ops.conv(x_BLC, kernel, padding="same", dilation_rate=dilation)
            x_BLK = x_BLK + ops.cast(bias, x_BLK.dtype)
            above_BLK = ops.cast(x_BLK > 0, x_BLK.dtype)
            if mask_BL is None:
                answers += [ops.mean(above_BLK, axis=1), ops.max(x_BLK, axis=1)]
                continue
            known_BL1 = ops.cast(mask_BL, "bool")[..., None]
            steps_B1 = ops.maximum(ops.sum(ops.cast(known_BL1, x_BLK.dtype), axis=1), 1)
            answers.append(ops.sum(ops.where(known_BL1, above_BLK, 0), axis=1) / steps_B1)
            strongest_BK = ops.max(ops.where(known_BL1, x_BLK, -np.inf), axis=1)
            # A row that is padding from end to end answers with the kernel's bias.
            bias_K = ops.cast(bias, x_BLK.dtype)
            answers.append(ops.where(ops.any(known_BL1, axis=1), strongest_BK, bias_K))
        return ops.concatenate(answers, axis=-1)

    def compute_output_shape(self, x_BLC_shape: Any, mask_BL_shape: Any = None) -> Any:
        """Returns the shape of what `call` gives."""
        del mask_BL_shape
        return (x_BLC_shape[0], 2 * self.kernels)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {**super().get_config(), "kernels": self.kernels}


@keras.saving.register_keras_serializable(package="braid")
class _Kernels(keras.initializers.Initializer):  # type: ignore[misc]
    """Normal numbers whose mean over a kernel's steps is 0, of some channels."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Returns [steps, channels, kernels]."""
        ops = keras.ops
        weights = keras.random.normal(shape, dtype="float32")
        weights -= ops.mean(weights, axis=0, keepdims=True)
        channels = shape[1]
        if channels > _CHANNELS:
            drawn = keras.random.uniform((1, *shape[1:]), dtype="float32")
            # At least the one that chance picks.
            chosen = ops.logical_or(
                drawn < _CHANNELS / channels, ops.equal(drawn, ops.min(drawn, 1, keepdims=True))
            )
            weights *= ops.cast(chosen, "float32")
        return ops.cast(weights, dtype or "float32")
