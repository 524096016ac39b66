"""Random changes to pictures, by Keras layers on the device.

The layers change nothing outside training, so that evaluation and export see a picture as it is.
B batch, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from transforms.contract.augment import AlignedGeometry, Augment, Augmentation, Geometry


@keras.saving.register_keras_serializable(package="braid")
class Channels(keras.layers.Layer):  # type: ignore[misc]
    """Some channels of a picture."""

    def __init__(self, first: int, count: int, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.count = first, count

    def call(self, x_BHWC: Any) -> Any:
        """Returns [B, H, W, count]."""
        return x_BHWC[..., self.first : self.first + self.count]

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the layer again."""
        return {**super().get_config(), "first": self.first, "count": self.count}


def augment_inputs(
    spec: Augment, inputs: Mapping[str, keras.KerasTensor]
) -> dict[str, keras.KerasTensor]:
    """Returns the inputs with the declared changes: pictures that differ at every training step.

    Args:
        spec: What may change, and how much.
        inputs: By feature; uint8 [B, H, W, C] for pictures. An augmented one becomes float32, from
            0 to 255 still.
    """
    changed = dict(inputs)
    for name, change in spec.items():
        if isinstance(change, AlignedGeometry):
            changed |= _together(name, change, {c: changed[c] for c in change.columns})
    # After what several share: brightness and contrast are each picture's own.
    for name, change in spec.items():
        if isinstance(change, Augmentation):
            changed[name] = _alone(name, change, changed[name])
    return changed


def _alone(name: str, spec: Augmentation, pixels_BHWC: keras.KerasTensor) -> keras.KerasTensor:
    x_BHWC = _floats(f"{name}.pixels", pixels_BHWC)
    for layer in (*_geometry(name, spec), *_colors(name, spec)):
        x_BHWC = layer(x_BHWC)
    return x_BHWC


def _together(
    name: str, spec: AlignedGeometry, pictures_BHWC: Mapping[str, keras.KerasTensor]
) -> dict[str, keras.KerasTensor]:
    """Changes several pictures as the channels of one, so that chance is the same for all."""
    x_BHWC = keras.layers.Concatenate(name=f"augment.{name}.together")(
        [_floats(f"augment.{name}.{c}", x) for c, x in pictures_BHWC.items()]
    )
    for layer in _geometry(f"augment.{name}", spec):
        x_BHWC = layer(x_BHWC)
    apart, first = {}, 0
    for column, picture_BHWC in pictures_BHWC.items():
        count = picture_BHWC.shape[-1]
        layer = Channels(first, count, dtype="float32", name=f"{column}.apart")
        apart[column], first = layer(x_BHWC), first + count
    return apart


def _floats(name: str, pixels_BHWC: keras.KerasTensor) -> keras.KerasTensor:
    # float32 in mixed precision too: brightness and contrast work on the whole range of pixels.
    return keras.layers.Rescaling(1.0, dtype="float32", name=name)(pixels_BHWC)


def _geometry(name: str, spec: Geometry) -> list[keras.layers.Layer]:
    layers, chosen = keras.layers, []
    between = {"interpolation": spec.interpolation}
    if spec.flip:
        chosen.append(layers.RandomFlip(spec.flip, **_named(name, "flip")))
    if spec.rotate:
        chosen.append(layers.RandomRotation(spec.rotate, **between, **_named(name, "rotate")))
    if spec.shift:
        shift = (spec.shift, spec.shift)
        chosen.append(layers.RandomTranslation(*shift, **between, **_named(name, "shift")))
    if spec.zoom:
        chosen.append(layers.RandomZoom(spec.zoom, **between, **_named(name, "zoom")))
    return chosen


def _colors(name: str, spec: Augmentation) -> list[keras.layers.Layer]:
    layers, chosen = keras.layers, []
    if spec.brightness:
        chosen.append(layers.RandomBrightness(spec.brightness, **_named(name, "brightness")))
    if spec.contrast:
        chosen.append(layers.RandomContrast(spec.contrast, **_named(name, "contrast")))
    return chosen


def _named(name: str, what: str) -> dict[str, str]:
    return {"name": f"{name}.{what}", "dtype": "float32"}
