"""The model, its training and its gate as a user declares them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from transforms.contract.spec import Spec

DropoutRate = Annotated[float, Field(ge=0, lt=1)]


class EmbeddingEncoder(Spec):
    """A learnt vector per id; the vectors of a text's words are averaged, padding apart.

    Attributes:
        dimension: The vector's width; None chooses by the number of ids, 4 times its fourth root
            up to 64.
    """

    kind: Literal["embedding"] = "embedding"
    dimension: PositiveInt | None = None


class OneHotEncoder(Spec):
    """One input per id. For vocabularies of a few dozen terms."""

    kind: Literal["one_hot"] = "one_hot"


class DenseEncoder(Spec):
    """Fully connected layers; without any, the numbers go to the fusion as they are."""

    kind: Literal["dense"] = "dense"
    units: tuple[PositiveInt, ...] = ()


class LstmEncoder(Spec):
    """A learnt vector per word, read in order by an LSTM that skips the padding."""

    kind: Literal["lstm"] = "lstm"
    dimension: PositiveInt = 64
    units: PositiveInt = 64
    bidirectional: bool = False


class CnnEncoder(Spec):
    """A block of 3x3 convolution, normalization and 2x2 pooling per entry of `filters`."""

    kind: Literal["cnn"] = "cnn"
    filters: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (16, 32, 64)
    units: PositiveInt = 64


Encoder = Annotated[
    EmbeddingEncoder | OneHotEncoder | DenseEncoder | LstmEncoder | CnnEncoder,
    Field(discriminator="kind"),
]

# Which encoders read which feature kind; the first is the default.
ENCODERS_BY_FEATURE_KIND: dict[str, tuple[type[Spec], ...]] = {
    "categorical": (EmbeddingEncoder, OneHotEncoder),
    "numeric": (DenseEncoder,),
    "text": (EmbeddingEncoder, LstmEncoder),
    "image": (CnnEncoder,),
}


class ConcatenateFusion(Spec):
    """The branches side by side, then fully connected layers."""

    kind: Literal["concatenate"] = "concatenate"
    hidden: tuple[PositiveInt, ...] = (128, 64)
    dropout: DropoutRate = 0.1


class ModelSpec(Spec):
    """The network between the features and the targets.

    Attributes:
        encoders: An encoder per feature; a feature that is not named here gets its kind's default.
        fusion: How the branches are joined.
        builder: "package.module:function" of a function that builds the model instead. It is
            called with the pipeline and its transform manifest and returns a `keras.Model` that
            takes a dict of the stored features and returns a dict with every target.
    """

    encoders: dict[str, Encoder] = {}
    fusion: ConcatenateFusion = ConcatenateFusion()
    builder: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None

    @model_validator(mode="after")
    def _builder_stands_alone(self) -> Self:
        if self.builder is not None and self.encoders:
            raise ValueError("either a builder or encoders, as a builder makes its own encoders")
        return self


class ConstantSchedule(Spec):
    """The same learning rate at every step."""

    kind: Literal["constant"] = "constant"


class CosineSchedule(Spec):
    """From 0 up to the learning rate in `warmup_steps`, then down to 0 along a cosine.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, without
    the restarts.
    """

    kind: Literal["cosine"] = "cosine"
    warmup_steps: NonNegativeInt = 0


Schedule = Annotated[ConstantSchedule | CosineSchedule, Field(discriminator="kind")]


class TrainingSpec(Spec):
    """How long and how fast to train.

    Attributes:
        early_stopping_patience: Stop after so many epochs without a better validation loss, and
            keep the best epoch's weights; None trains all epochs and keeps the last.
        mixed_precision: Compute in float16 with float32 weights; worth it on a GPU only.
        shuffle_bytes: The shuffle buffer's size; what it holds is the trainer's memory for data.
    """

    epochs: PositiveInt = 10
    batch_size: PositiveInt = 128
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    schedule: Schedule = ConstantSchedule()
    early_stopping_patience: PositiveInt | None = 3
    mixed_precision: bool = False
    shuffle_bytes: PositiveInt = 256 * 1024 * 1024
    seed: NonNegativeInt = 17


class GateSpec(Spec):
    """What a model must reach to become the champion.

    Attributes:
        metric: "<split>_<target>_<metric>", or "<split>_loss"; by default the first metric of the
            first target on the test split.
        at_least: The lowest value that passes.
        at_most: The highest value that passes.
        tolerance: How much worse than the present champion the model may be on the same rows, as
            a share of the champion's value.
        compare: Whether the champion counts at all; without it only at_least and at_most do.
    """

    metric: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    tolerance: Annotated[float, Field(ge=0)] = 0.02
    compare: bool = True


def _one_or_many(value: Any) -> str:
    return "many" if isinstance(value, (list, tuple)) else "one"


Gate = Annotated[
    Annotated[GateSpec, Tag("one")]
    | Annotated[tuple[GateSpec, ...], Field(min_length=1), Tag("many")],
    Discriminator(_one_or_many),
]


class RegistrySpec(Spec):
    """Where models are registered.

    Attributes:
        uri: An MLflow tracking URI; by default a SQLite database in the workspace.
        name: The registered model's name; by default the pipeline's.
    """

    uri: str | None = None
    name: str | None = None
