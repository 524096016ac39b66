"""Random changes to the pictures of a training batch, by Keras layers on the device.

They are applied to the batch and not in the model, so that a target moves with its picture, and
that evaluation and export have nothing to switch off. B batch, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from trainer.data.noise import Tensors
from trainer.data.stream import Batch
from transforms.contract.network.augment import AlignedGeometry, Augment, Augmentation, Geometry

_CHANGES = 1  # tells their random numbers from those of the order of the rows


@dataclass(frozen=True)
class _Change:
    """Layers whose random draws all of some pictures share."""

    columns: tuple[str, ...]
    layers: tuple[keras.layers.Layer, ...]


class Augmenter:
    """Changes the pictures of a batch as declared, otherwise at every step.

    Args:
        spec: What may change, and how much.
        masks: The targets whose values are no brightness: nothing is interpolated between them.
        seed: Of the training. With it and the epoch's number, the changes of an epoch are given.
    """

    def __init__(self, spec: Augment, *, masks: Collection[str] = (), seed: int) -> None:
        self._masks = frozenset(masks)
        self._seed = seed
        # What several share comes first: brightness and contrast are each picture's own.
        several = [c for c in spec.values() if isinstance(c, AlignedGeometry)]
        alone = {name: c for name, c in spec.items() if isinstance(c, Augmentation)}
        self._changes = [
            *(_Change(change.columns, _geometry(change)) for change in several),
            *(_Change((name,), (*_geometry(c), *_colors(c))) for name, c in alone.items()),
        ]

    def start(self, epoch: int) -> None:
        """Sets the random states to those of an epoch's first step."""
        random = np.random.default_rng((self._seed, epoch, _CHANGES))
        for state in self.states():
            state.assign([random.integers(2**31), 0])

    def states(self) -> list[keras.Variable]:
        """Returns the random states, which move on with every step."""
        layers = (layer for change in self._changes for layer in change.layers)
        return [layer.generator.state for layer in layers]

    def __call__(self, batch: Batch) -> Batch:
        """Returns the batch with other pictures, each of the dtype that it had.

        Args:
            batch: Inputs, targets and weights; pictures are [B, H, W, C].
        """
        inputs, targets, weights = batch
        pictures = {
            name: inputs[name] if name in inputs else targets[name]
            for change in self._changes
            for name in change.columns
        }
        for change in self._changes:
            pictures |= self._changed(change, {name: pictures[name] for name in change.columns})
        return (
            {name: pictures.get(name, tensor) for name, tensor in inputs.items()},
            {name: pictures.get(name, tensor) for name, tensor in targets.items()},
            weights,
        )

    def _changed(self, change: _Change, pictures_BHWC: Tensors) -> Tensors:
        """Changes pictures as the channels of one, so that chance is the same for all."""
        masks = {name: x for name, x in pictures_BHWC.items() if name in self._masks}
        others = {name: x for name, x in pictures_BHWC.items() if name not in self._masks}
        masks_BHWC, others_BHWC = _together(masks), _together(others)
        for layer in change.layers:
            drawn = layer.get_random_transformation(
                masks_BHWC if others_BHWC is None else others_BHWC, training=True
            )
            if others_BHWC is not None:
                others_BHWC = layer.transform_images(others_BHWC, drawn, training=True)
            if masks_BHWC is not None:
                masks_BHWC = layer.transform_segmentation_masks(masks_BHWC, drawn, training=True)
        return _apart(masks, masks_BHWC) | _apart(others, others_BHWC)


def _together(pictures_BHWC: Mapping[str, tf.Tensor]) -> tf.Tensor | None:
    if not pictures_BHWC:
        return None
    return tf.concat([tf.cast(x, tf.float32) for x in pictures_BHWC.values()], axis=-1)


def _apart(pictures_BHWC: Mapping[str, tf.Tensor], changed_BHWC: tf.Tensor) -> Tensors:
    """Returns each picture's own channels again, of its own dtype."""
    pictures, first = {}, 0
    for name, x_BHWC in pictures_BHWC.items():
        last = first + x_BHWC.shape[-1]
        own_BHWC, first = changed_BHWC[..., first:last], last
        if x_BHWC.dtype.is_integer:
            own_BHWC = tf.saturate_cast(tf.round(own_BHWC), x_BHWC.dtype)
        pictures[name] = tf.ensure_shape(own_BHWC, x_BHWC.shape)
    return pictures


def _geometry(spec: Geometry) -> tuple[keras.layers.Layer, ...]:
    layers = keras.layers
    # float32 whatever the model computes in: what is changed is the whole range of pixels.
    between = {"interpolation": spec.interpolation, "dtype": "float32"}
    chosen: Sequence[tuple[object, keras.layers.Layer]] = (
        (spec.flip, lambda: layers.RandomFlip(spec.flip, dtype="float32")),
        (spec.rotate, lambda: layers.RandomRotation(spec.rotate, **between)),
        (spec.shift, lambda: layers.RandomTranslation(spec.shift, spec.shift, **between)),
        (spec.zoom, lambda: layers.RandomZoom(spec.zoom, **between)),
        (spec.shear, lambda: layers.RandomShear(spec.shear, spec.shear, **between)),
    )
    return tuple(layer() for wanted, layer in chosen if wanted)


def _colors(spec: Augmentation) -> tuple[keras.layers.Layer, ...]:
    layers = keras.layers
    chosen: Sequence[tuple[float, keras.layers.Layer]] = (
        (spec.brightness, lambda: layers.RandomBrightness(spec.brightness, dtype="float32")),
        (spec.contrast, lambda: layers.RandomContrast(spec.contrast, dtype="float32")),
    )
    return tuple(layer() for wanted, layer in chosen if wanted)
