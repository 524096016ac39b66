"""Pictures to vectors by networks of `keras.applications`. B batch, H height, W width, C channels.

They are built without weights or with those of a local file: nothing is ever downloaded.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras

from trainer.network.normalization import MOMENTUM
from transforms.contract.errors import DeclarationError
from transforms.contract.network.encoders import BackboneEncoder, MobilenetEncoder, ResnetEncoder
from transforms.contract.workspace.manifest import StoredFeature

_CHANNELS = 3


def resnet(
    name: str, spec: ResnetEncoder, stored: StoredFeature, pixels_BHWC: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns ResNet50V2's mean over the picture through a dense layer, [B, units]."""
    network = keras.applications.ResNet50V2(**_options(name, stored))
    return _encode(name, network, spec, pixels_BHWC)


def mobilenet(
    name: str, spec: MobilenetEncoder, stored: StoredFeature, pixels_BHWC: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns MobileNetV2's mean over the picture through a dense layer, [B, units]."""
    network = keras.applications.MobileNetV2(alpha=spec.alpha, **_options(name, stored))
    return _encode(name, network, spec, pixels_BHWC)


def _options(name: str, stored: StoredFeature) -> dict[str, Any]:
    height, width, _ = stored.shape
    return {
        "include_top": False,
        "weights": None,
        "input_shape": (height, width, _CHANNELS),
        "pooling": "avg",
        "name": f"{name}.backbone",
    }


def _encode(
    name: str, network: keras.Model, spec: BackboneEncoder, pixels_BHWC: keras.KerasTensor
) -> keras.KerasTensor:
    layers = keras.layers
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    if spec.weights is not None:
        _load(name, network, Path(spec.weights))
    # Both networks were published for pixels from -1 to 1.
    x_BHWC = layers.Rescaling(1 / 127.5, offset=-1, name=f"{name}.rescaling")(pixels_BHWC)
    if x_BHWC.shape[-1] != _CHANNELS:
        x_BHWC = layers.Conv2D(_CHANNELS, 1, name=f"{name}.channels")(x_BHWC)
    return layers.Dense(spec.units, activation="relu", name=f"{name}.dense")(network(x_BHWC))


def _load(name: str, network: keras.Model, path: Path) -> None:
    place = f"model.encoders.{name}.weights"
    if not path.is_file():
        raise DeclarationError(
            place,
            expected="a file of weights",
            received=f"{path}, which is not there",
            action="Correct the path, or leave `weights` out to start at random.",
        )
    try:
        with warnings.catch_warnings():
            # Keras only warns of a layer that the file does not have, and leaves it at random.
            warnings.simplefilter("error", UserWarning)
            network.load_weights(path)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        raise DeclarationError(
            place,
            expected="the weights of this network, without the top and for 3 channels",
            received=f"{path}, which does not fit: {str(error).splitlines()[0]}",
            action="Save them from the same network with `save_weights`.",
        ) from error
