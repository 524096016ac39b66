"""Random changes to pictures, by Keras layers on the device.

B batch, H height, W width, C channels.
The layers change nothing outside training, so that evaluation and export see a picture as it is.
"""

from __future__ import annotations

import keras

from transforms.contract.augment import Augmentation


def augment(name: str, spec: Augmentation, pixels_BHWC: keras.KerasTensor) -> keras.KerasTensor:
    """Returns pictures that differ at every training step, float32 from 0 to 255, [B, H, W, C].

    Args:
        name: The feature's name.
        spec: What may change, and how much.
        pixels_BHWC: uint8.
    """
    # float32 in mixed precision too: brightness and contrast work on the whole range of pixels.
    x_BHWC = keras.layers.Rescaling(1.0, dtype="float32", name=f"{name}.pixels")(pixels_BHWC)
    for layer in _layers(name, spec):
        x_BHWC = layer(x_BHWC)
    return x_BHWC


def _layers(name: str, spec: Augmentation) -> list[keras.layers.Layer]:
    layers = keras.layers

    def named(what: str) -> dict[str, str]:
        return {"name": f"{name}.{what}", "dtype": "float32"}

    chosen = []
    if spec.flip:
        chosen.append(layers.RandomFlip(spec.flip, **named("flip")))
    if spec.rotate:
        chosen.append(layers.RandomRotation(spec.rotate, **named("rotate")))
    if spec.shift:
        chosen.append(layers.RandomTranslation(spec.shift, spec.shift, **named("shift")))
    if spec.zoom:
        chosen.append(layers.RandomZoom(spec.zoom, **named("zoom")))
    if spec.brightness:
        chosen.append(layers.RandomBrightness(spec.brightness, **named("brightness")))
    if spec.contrast:
        chosen.append(layers.RandomContrast(spec.contrast, **named("contrast")))
    return chosen
