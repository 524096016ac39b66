"""Features to vectors and maps: one function per encoder, picked by one table.

Adding an encoder adds its declaration to the contract, a function here and a line to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from trainer.network.axes import Segment
from trainer.network.encoders import (
    backbone,
    categorical,
    custom,
    embedding,
    image,
    numeric,
    sequence,
    signal,
    text,
)
from trainer.network.encoders.encoded import Encoded
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError
from transforms.contract.network.encoders import (
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
    OwnEncoder,
    PiecewiseEncoder,
    ResnetEncoder,
    SignalEncoder,
    TransformerEncoder,
)
from transforms.contract.spec import Spec
from transforms.contract.workspace.manifest import StoredFeature

# From the feature's name, its encoder's declaration, what is stored and the tensor [B, *shape].
EncoderFn = Callable[[str, Any, StoredFeature, keras.KerasTensor], keras.KerasTensor | Encoded]

# By the feature's kind and the encoder's declaration.
ENCODERS: dict[tuple[str, type[Spec]], EncoderFn] = {
    ("categorical", EmbeddingEncoder): embedding.embed,
    ("categorical", OneHotEncoder): categorical.one_hot,
    ("numeric", PiecewiseEncoder): numeric.piecewise,
    ("numeric", DenseEncoder): numeric.dense,
    ("datetime", PiecewiseEncoder): numeric.piecewise,
    ("datetime", DenseEncoder): numeric.dense,
    ("text", EmbeddingEncoder): embedding.embed,
    ("text", BagOfWordsEncoder): text.bag_of_words,
    ("text", LstmEncoder): text.recurrent,
    ("text", GruEncoder): text.recurrent,
    ("text", Conv1dEncoder): text.conv1d,
    ("text", TransformerEncoder): text.transformer,
    ("image", CnnEncoder): image.cnn,
    ("image", ResnetEncoder): backbone.resnet,
    ("image", MobilenetEncoder): backbone.mobilenet,
    ("sequence", SignalEncoder): signal.signal,
    ("sequence", LstmEncoder): sequence.recurrent,
    ("sequence", GruEncoder): sequence.recurrent,
    ("sequence", Conv1dEncoder): sequence.conv1d,
    ("sequence", TransformerEncoder): sequence.transformer,
    ("noise", DenseEncoder): numeric.dense,
}


def encode(name: str, spec: Spec, stored: StoredFeature, tensor: keras.KerasTensor) -> Encoded:
    """Returns a feature's branch of the model.

    A kind of the user's own brings its encoder along.

    Args:
        name: The feature's name; the branch's layers are named "<name>.<what>".
        spec: The declared encoder.
        stored: What the shards hold of the feature.
        tensor: The model's input, [B, *stored.shape].
    """
    encoded: keras.KerasTensor | Encoded
    if isinstance(spec, OwnEncoder):
        encoded = custom.own(name, stored, tensor)
    elif isinstance(spec, CustomEncoder):
        encoded = custom.call(name, spec, stored, tensor)
    else:
        encoded = ENCODERS[stored.kind, type(spec)](name, spec, stored, tensor)
    return encoded if isinstance(encoded, Encoded) else Encoded(encoded)


def encode_features(
    pipeline: PipelineSpec, features: Sequence[StoredFeature], inputs: Mapping[str, Any]
) -> dict[str, Encoded]:
    """Returns every feature's branch, in the order of the features.

    Args:
        pipeline: The declaration, with an encoder for each.
        features: What the shards hold of them.
        inputs: The model's inputs by name.

    Raises:
        DeclarationError: Features that share an encoder are not stored alike.
    """
    stored = {feature.name: feature for feature in features}
    sources = {name: name for name in stored}
    for name, spec in pipeline.model.encoders.items():
        if spec.shares_with is not None and name in stored:
            _refuse_unlike(stored[name], stored[spec.shares_with])
            sources[name] = spec.shares_with
    networks = {
        source: _network(source, pipeline.encoder_of(source), stored[source])
        for name, source in sources.items()
        if name != source
    }
    alone = [name for name, source in sources.items() if source not in networks]
    encoded = _encode_each(pipeline, {name: stored[name] for name in alone}, inputs)
    for name, source in sources.items():
        if source in networks:
            network, ids = networks[source]
            vector_BD, *maps_BHWC = network(inputs[name])
            encoded[name] = Encoded(vector_BD, tuple(maps_BHWC), ids)
    return {name: encoded[name] for name in sources}


def _encode_each(
    pipeline: PipelineSpec, stored: Mapping[str, StoredFeature], inputs: Mapping[str, Any]
) -> dict[str, Encoded]:
    """Returns the branch of every feature that shares its encoder with none."""
    encoded: dict[str, Encoded] = {}
    numbers: dict[PiecewiseEncoder, dict[str, StoredFeature]] = {}
    for name, own in stored.items():
        spec = pipeline.encoder_of(name)
        if isinstance(spec, PiecewiseEncoder):
            numbers.setdefault(spec, {})[name] = own
        else:
            encoded[name] = encode(name, spec, own, inputs[name])
    for spec, group in numbers.items():
        vectors = numeric.piecewise_of_all(spec, group, inputs)
        encoded |= {name: Encoded(vector) for name, vector in vectors.items()}
    return encoded


def _network(name: str, spec: Spec, stored: StoredFeature) -> tuple[keras.Model, Segment | None]:
    """Returns an encoder that can be called more than once, and the ids of its vector's numbers.

    It gives the vector and then the maps.
    """
    tensor = keras.Input(stored.shape, dtype=stored.dtype, name=f"{name}.shared")
    encoded = encode(name, spec, stored, tensor)
    network = keras.Model(tensor, [encoded.vector, *encoded.maps], name=f"{name}.encoder")
    return network, encoded.ids


def _refuse_unlike(stored: StoredFeature, source: StoredFeature) -> None:
    own, others = (
        (s.kind, s.dtype, list(s.shape), s.cardinality, "padded" if s.padded else None)
        for s in (stored, source)
    )
    if own != others:
        raise DeclarationError(
            f"model.encoders.{stored.name}.with",
            expected=f"a feature that is stored as '{stored.name}' is: {_words(own)}",
            received=f"'{source.name}': {_words(others)}",
            action="Declare both alike, or give each an encoder of its own.",
        )


def _words(layout: tuple[Any, ...]) -> str:
    return " ".join(str(part) for part in layout if part is not None)
