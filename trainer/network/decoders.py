"""From what is joined to a picture: one function per decoder, picked by one table.

B batch, D width of the vector, H height, W width, F filters. A map's level is how often the
target's size is halved to get its size; level 0 is the target's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from trainer.network.normalization import MOMENTUM
from transforms.contract.network.decoders import UpsamplingDecoder
from transforms.contract.spec import Spec

Maps = Sequence[tuple[keras.KerasTensor, ...]]

_FINEST_FILTERS, _MOST_FILTERS = 16, 128
_START = 8  # pixels a side at most, where a picture is decoded from a vector alone


def decode(
    name: str, spec: Spec, size: tuple[int, int], vector_BD: keras.KerasTensor, maps: Maps
) -> keras.KerasTensor:
    """Returns a map of a target's size, [B, H, W, F].

    Args:
        name: The target's name; the layers are named "<name>.decoder.<what>".
        spec: The declared decoder.
        size: The target's height and width.
        vector_BD: What the fusion gives.
        maps: Per feature of the target's size its maps, from fine to coarse.
    """
    return DECODERS[type(spec)](f"{name}.decoder", spec, size, vector_BD, maps)


def upsample(
    name: str,
    spec: UpsamplingDecoder,
    size: tuple[int, int],
    vector_BD: keras.KerasTensor,
    maps: Maps,
) -> keras.KerasTensor:
    """Doubles the coarsest maps, or a learnt one, up to the target's size."""
    sizes = list(_sizes(spec, size, maps))
    levels = range(len(sizes) - 2, -1, -1)
    filters = spec.filters or [min(_FINEST_FILTERS << level, _MOST_FILTERS) for level in levels]
    x = _start(f"{name}.start", filters[0], sizes[-1], vector_BD, _maps_at(len(sizes) - 1, maps))
    for level, width in zip(levels, filters, strict=True):
        block = f"{name}.{level}"
        x = keras.layers.UpSampling2D(2, name=f"{block}.double")(x)
        x = _cropped(f"{block}.crop", x, sizes[level])
        joined = _maps_at(level, maps, skips=spec.skips)
        if joined:
            x = keras.layers.Concatenate(name=f"{block}.join")([x, *joined])
        x = _activated(block, _convolved(block, width, x))
    return x


def _sizes(spec: UpsamplingDecoder, size: tuple[int, int], maps: Maps) -> Iterator[tuple[int, int]]:
    """Yields the size of every level, from the target's own to that of the start."""
    yield size
    for _ in range(_doublings(spec, size, maps)):
        size = (-(-size[0] // 2), -(-size[1] // 2))  # as pooling does
        yield size


def _doublings(spec: UpsamplingDecoder, size: tuple[int, int], maps: Maps) -> int:
    if maps:
        return max(len(own) for own in maps) - 1
    return len(spec.filters) if spec.filters else max(1, math.ceil(math.log2(max(size) / _START)))


def _maps_at(level: int, maps: Maps, *, skips: bool = True) -> list[keras.KerasTensor]:
    """Returns the maps of a level; without skips only those that are a feature's coarsest."""
    return [own[level] for own in maps if level < len(own) and (skips or level == len(own) - 1)]


def _start(
    name: str,
    width: int,
    size: tuple[int, int],
    vector_BD: keras.KerasTensor,
    maps_BHWC: Sequence[keras.KerasTensor],
) -> keras.KerasTensor:
    layers = keras.layers
    if not maps_BHWC:
        cells_BD = layers.Dense(size[0] * size[1] * width, name=f"{name}.dense")(vector_BD)
        return _activated(name, layers.Reshape((*size, width), name=f"{name}.map")(cells_BD))
    x = maps_BHWC[0]
    if len(maps_BHWC) > 1:
        x = layers.Concatenate(name=f"{name}.join")(list(maps_BHWC))
    everywhere_BF = layers.Dense(width, use_bias=False, name=f"{name}.dense")(vector_BD)
    everywhere = layers.Reshape((1, 1, width), name=f"{name}.everywhere")(everywhere_BF)
    added = layers.Add(name=f"{name}.add")([_convolved(name, width, x), everywhere])
    return _activated(name, added)


def _cropped(name: str, x_BHWF: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    """Cuts the row and the column that pooling an odd size had rounded up to."""
    spare = [(0, side - wanted) for side, wanted in zip(x_BHWF.shape[1:3], size, strict=True)]
    return keras.layers.Cropping2D(spare, name=name)(x_BHWF) if spare != [(0, 0)] * 2 else x_BHWF


def _convolved(name: str, width: int, x_BHWF: keras.KerasTensor) -> keras.KerasTensor:
    # The normalization that follows has a bias of its own.
    return keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}.conv")(
        x_BHWF
    )


def _activated(name: str, x_BHWF: keras.KerasTensor) -> keras.KerasTensor:
    normal = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}.norm")(x_BHWF)
    return keras.layers.ReLU(name=f"{name}.relu")(normal)


DECODERS: dict[type[Spec], Callable[..., Any]] = {UpsamplingDecoder: upsample}
