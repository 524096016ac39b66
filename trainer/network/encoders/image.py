"""Pictures to vectors. B batch, H height, W width, C channels, D width of the vector."""

from __future__ import annotations

import keras

from trainer.network.dropout import Dropout
from trainer.network.encoders.encoded import Encoded
from trainer.network.normalization import by_row
from transforms.contract.network.encoders import CnnEncoder
from transforms.contract.workspace.manifest import StoredFeature


def cnn(
    name: str, spec: CnnEncoder, stored: StoredFeature, pixels_BHWC: keras.KerasTensor
) -> Encoded:
    """Returns blocks of convolution, pooling and normalization, then the mean over the picture.

    Args:
        name: The feature's name.
        spec: Filters of each block and the width of the vector.
        stored: The picture's shape.
        pixels_BHWC: uint8.

    Returns:
        The vector, and as maps what every block's convolution gives before it is pooled, and what
        the last block gives.
    """
    del stored  # the layers take the shape from the tensor
    layers, maps_BHWC = keras.layers, []
    x = layers.Rescaling(1 / 255, name=f"{name}.rescaling")(pixels_BHWC)
    for index, filters in enumerate(spec.filters):
        block = f"{name}.{index}"
        # The normalization has a bias of its own.
        conv = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{block}.conv")
        x = conv(x)
        maps_BHWC.append(layers.ReLU(name=f"{block}.map")(x))
        # Pooled before the rest, which then has a quarter of the work.
        x = layers.MaxPooling2D(2, padding="same", name=f"{block}.pool")(x)
        x = by_row(filters, name=f"{block}.norm")(x)
        x = layers.ReLU(name=f"{block}.relu")(x)
    x_BC = layers.GlobalAveragePooling2D(name=f"{name}.mean")(x)
    x_BC = Dropout(spec.dropout, name=f"{name}.dropout")(x_BC)
    vector_BD = layers.Dense(spec.units, activation="relu", name=f"{name}.dense")(x_BC)
    return Encoded(vector_BD, (*maps_BHWC, x))
