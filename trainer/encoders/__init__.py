"""Features to vectors: one function per encoder, picked by one table.

Adding an encoder adds its declaration to the contract, a function here and a line to the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from trainer.encoders import backbone, categorical, custom, image, numeric, text
from transforms.contract.manifest import StoredFeature
from transforms.contract.model import (
    CnnEncoder,
    Conv1dEncoder,
    CustomEncoder,
    DenseEncoder,
    EmbeddingEncoder,
    GruEncoder,
    LstmEncoder,
    MobilenetEncoder,
    OneHotEncoder,
    OwnEncoder,
    ResnetEncoder,
    TransformerEncoder,
)
from transforms.contract.spec import Spec

EncoderFn = Callable[[str, Any, StoredFeature, keras.KerasTensor], keras.KerasTensor]

# By the feature's kind and the encoder's declaration.
ENCODERS: dict[tuple[str, type[Spec]], EncoderFn] = {
    ("categorical", EmbeddingEncoder): categorical.embed,
    ("categorical", OneHotEncoder): categorical.one_hot,
    ("numeric", DenseEncoder): numeric.dense,
    ("text", EmbeddingEncoder): text.average,
    ("text", LstmEncoder): text.lstm,
    ("text", GruEncoder): text.gru,
    ("text", Conv1dEncoder): text.conv1d,
    ("text", TransformerEncoder): text.transformer,
    ("image", CnnEncoder): image.cnn,
    ("image", ResnetEncoder): backbone.resnet,
    ("image", MobilenetEncoder): backbone.mobilenet,
    ("noise", DenseEncoder): numeric.dense,
}


def encode(
    name: str, spec: Spec, stored: StoredFeature, tensor: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns a feature's branch of the model.

    A kind of the user's own brings its encoder along.

    Args:
        name: The feature's name; the branch's layers are named "<name>.<what>".
        spec: The declared encoder.
        stored: What the shards hold of the feature.
        tensor: The model's input, [B, *stored.shape].

    Returns:
        float [B, D].
    """
    if isinstance(spec, OwnEncoder):
        return custom.own(name, stored, tensor)
    if isinstance(spec, CustomEncoder):
        return custom.call(name, spec, stored, tensor)
    return ENCODERS[stored.kind, type(spec)](name, spec, stored, tensor)
