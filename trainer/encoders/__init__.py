"""Features to vectors: one function per encoder, picked by one table.

Adding an encoder adds its declaration to the contract, a function here and a line to the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from trainer.encoders import backbone, categorical, custom, embedding, image, numeric, text
from transforms.contract.manifest import StoredFeature
from transforms.contract.model import (
    ENCODERS_BY_FEATURE_KIND,
    BagOfWordsEncoder,
    CnnEncoder,
    Conv1dEncoder,
    CustomEncoder,
    DenseEncoder,
    EmbeddingEncoder,
    GruEncoder,
    LstmEncoder,
    MobilenetEncoder,
    OneHotEncoder,
    ResnetEncoder,
    TransformerEncoder,
)
from transforms.contract.spec import Spec

EncoderFn = Callable[[str, Any, StoredFeature, keras.KerasTensor], keras.KerasTensor]

# By the feature's kind and the encoder's declaration.
ENCODERS: dict[tuple[str, type[Spec]], EncoderFn] = {
    ("categorical", EmbeddingEncoder): embedding.embed,
    ("categorical", OneHotEncoder): categorical.one_hot,
    ("numeric", DenseEncoder): numeric.dense,
    ("text", EmbeddingEncoder): embedding.embed,
    ("text", BagOfWordsEncoder): text.bag_of_words,
    ("text", LstmEncoder): text.lstm,
    ("text", GruEncoder): text.gru,
    ("text", Conv1dEncoder): text.conv1d,
    ("text", TransformerEncoder): text.transformer,
    ("image", CnnEncoder): image.cnn,
    ("image", ResnetEncoder): backbone.resnet,
    ("image", MobilenetEncoder): backbone.mobilenet,
    **{(kind, CustomEncoder): custom.call for kind in ENCODERS_BY_FEATURE_KIND},
}


def encode(
    name: str, spec: Spec, stored: StoredFeature, tensor: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns a feature's branch of the model.

    Args:
        name: The feature's name; the branch's layers are named "<name>.<what>".
        spec: The declared encoder.
        stored: What the shards hold of the feature.
        tensor: The model's input, [B, *stored.shape].

    Returns:
        float [B, D].
    """
    return ENCODERS[stored.kind, type(spec)](name, spec, stored, tensor)
