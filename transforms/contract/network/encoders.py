"""The encoders as a user declares them: from what is stored of a feature to a vector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PositiveFloat, model_validator

from transforms.contract.columns.kinds import is_user_kind
from transforms.contract.spec import Count, DropoutRate, Spec, Width, refuse_uneven_heads

ImportPath = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]


class EncoderSpec(Spec):
    """A declared encoder, with the answers of most to what the rest of Braid asks of any.

    Attributes:
        is_shared_by_members: Whether it takes most of a step, so that all members see its feature
            through one. One of the user's own is such an encoder, as nobody knows what it takes.
        reads_term_weights: Whether it makes use of the weights of a text's terms.
        smallest_side: Pixels that a side of a picture has at least.
    """

    is_shared_by_members: ClassVar[bool] = False
    reads_term_weights: ClassVar[bool] = False
    smallest_side: ClassVar[int] = 1

    @property
    def shares_with(self) -> str | None:
        """The feature whose encoder it is; None for an encoder of its own."""
        return None

    @property
    def user_function(self) -> str | None:
        """The import path of the user's function that the declaration names, if it is one."""
        return None

    @property
    def poolings(self) -> int | None:
        """The number of times that its maps halve a picture, if a decoder reads its maps."""
        return None

    def located_in(self, folder: Path) -> Self:
        """Returns the encoder with the files that it names taken from a folder."""
        del folder
        return self


class SharedByMembers(EncoderSpec):
    """An encoder that takes most of a step."""

    is_shared_by_members: ClassVar[bool] = True


class EmbeddingEncoder(EncoderSpec):
    """A learnt vector per id; the vectors of a row's terms or categories are averaged.

    The padding does not count.

    Attributes:
        dimension: The vector's width; None chooses by the number of ids, 4 times its fourth root
            up to 64.
    """

    kind: Literal["embedding"] = "embedding"
    dimension: Width | None = None


class OneHotEncoder(EncoderSpec):
    """One input per id, for a few dozen ids; of a list of categories, 1 for each that it has."""

    kind: Literal["one_hot"] = "one_hot"


class DenseEncoder(EncoderSpec):
    """Fully connected layers; without any, the numbers go to the fusion as they are."""

    kind: Literal["dense"] = "dense"
    units: tuple[Width, ...] = ()


class PiecewiseEncoder(EncoderSpec):
    """The number, and a learnt vector that bends where the training rows have an edge.

    A number beyond all training rows counts as the nearest of them. Between two edges the vector
    is linear in the number: the piecewise-linear encoding of Gorishniy, Rubachev and Babenko, "On
    Embeddings for Numerical Features in Tabular Deep Learning", 2022. Buckets of `scale: bucketize`
    are one-hot.

    Attributes:
        units: The vector's width.
    """

    kind: Literal["piecewise"] = "piecewise"
    units: Width = 8


class BagOfWordsEncoder(EncoderSpec):
    """The count of each term of the vocabulary in a text; padding and unknown terms are left out.

    With the feature's `weights`, the numbers are multiplied by them and then divided by the length
    of the row's vector: Salton and Buckley, "Term-Weighting Approaches in Automatic Text
    Retrieval", 1988.

    Attributes:
        units: The width of a learnt projection of these numbers, a vector per term that is summed:
            Joulin et al., "Bag of Tricks for Efficient Text Classification", 2017. None gives one
            input per term, so that a vocabulary of 20,000 makes the next layer large.
        dropout: The share of a row's terms that are left out in training.
    """

    reads_term_weights: ClassVar[bool] = True

    kind: Literal["bag_of_words"] = "bag_of_words"
    units: Width | None = 64
    dropout: DropoutRate = 0.5


class LstmEncoder(SharedByMembers):
    """Words or the steps of a sequence, read in order by an LSTM that skips the padding.

    Attributes:
        dimension: The width of a word's learnt vector, 64 if None; of a sequence that of a learnt
            projection of each step, and none if None.
        units: The state's width.
        bidirectional: Whether a second one reads from the end.
    """

    kind: Literal["lstm"] = "lstm"
    dimension: Width | None = None
    units: Width = 64
    bidirectional: bool = False


class GruEncoder(SharedByMembers):
    """As `lstm`, by a GRU: a quarter fewer weights.

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation", 2014.
    """

    kind: Literal["gru"] = "gru"
    dimension: Width | None = None
    units: Width = 64
    bidirectional: bool = False


class Conv1dEncoder(SharedByMembers):
    """Filters over `kernel_size` words or steps, each one's strongest answer.

    Kim, "Convolutional Neural Networks for Sentence Classification", 2014.

    Attributes:
        dimension: As of `lstm`.
        filters: How many; of a list one convolution an entry, each after the first on the strongest
            of every two answers of the one before. A long signal asks for several.
        kernel_size: Words or steps that a filter sees.
    """

    kind: Literal["conv1d"] = "conv1d"
    dimension: Width | None = None
    filters: Width | Annotated[tuple[Width, ...], Field(min_length=1)] = 64
    kernel_size: Count = 3


class TransformerEncoder(SharedByMembers):
    """A vector per word or step and per place, layers of self-attention, the mean over the words.

    Vaswani et al., "Attention Is All You Need", 2017; with the normalization before each sublayer
    (Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020), which trains
    without a warm-up.

    Attributes:
        dimension: The width of the learnt vectors; a multiple of `heads`.
        heads: Attentions side by side in a layer.
        layers: Layers of attention and feed-forward network.
        feed_forward: The hidden width of a layer's feed-forward network.
        dropout: Of what each sublayer adds.
    """

    kind: Literal["transformer"] = "transformer"
    dimension: Width = 64
    heads: Width = 4
    layers: Width = 2
    feed_forward: Width = 128
    dropout: DropoutRate = 0.1

    @model_validator(mode="after")
    def _heads_share_the_dimension(self) -> Self:
        refuse_uneven_heads(self.dimension, self.heads, "dimension")
        return self


class SignalEncoder(SharedByMembers):
    """A series seen in three ways: by fixed random kernels, by learnt ones, and step by step.

    Random kernels need no training, so that some tens of rows are enough: of each, how often and
    how strongly it answers, as in Dempster, Petitjean and Webb, "ROCKET: Exceptionally Fast and
    Accurate Time Series Classification Using Random Convolutional Kernels", 2020. Learnt
    convolutions, of which mean and maximum count, follow Wang, Yan and Oates, "Time Series
    Classification from Scratch with Deep Neural Networks", 2017. The steps themselves go through a
    dense layer.

    Attributes:
        kernels: Random kernels.
        filters: Of each learnt convolution; each after the first on every second step of the one
            before.
        units: The width of the dense layer that reads every step.
        dropout: Of what the random kernels answer.
    """

    kind: Literal["signal"] = "signal"
    kernels: Width = 256
    filters: tuple[Width, ...] = (32, 64, 64)
    units: Width = 64
    dropout: DropoutRate = 0.5


class CnnEncoder(SharedByMembers):
    """A block of 3x3 convolution, 2x2 pooling and normalization per entry of `filters`.

    Attributes:
        filters: Of each block.
        units: The vector's width.
        dropout: Of the mean over the picture.
    """

    kind: Literal["cnn"] = "cnn"
    filters: Annotated[tuple[Width, ...], Field(min_length=1)] = (16, 32, 64)
    units: Width = 64
    dropout: DropoutRate = 0.2

    @property
    def poolings(self) -> int:
        """One a block."""
        return len(self.filters)


class BackboneEncoder(SharedByMembers):
    """A network of `keras.applications` without its top, the mean over the picture, a dense layer.

    A picture with other than 3 channels goes through a learnt 1x1 convolution to 3 first.

    Attributes:
        weights: A file with the network's weights, without the top and for 3 channels, relative
            to the declaration; None starts at random. Nothing is ever downloaded. The network is
            built anew for evaluation and export, so the file has to stay until they are done.
        units: The vector's width.
    """

    smallest_side: ClassVar[int] = 32  # as these networks halve a picture five times

    weights: Annotated[str, Field(pattern=r"\.weights\.h5$")] | None = None
    units: Width = 64

    def located_in(self, folder: Path) -> Self:
        """Returns the encoder with the weights' file taken from a folder."""
        if self.weights is None:
            return self
        return self.model_copy(update={"weights": str((folder / self.weights).absolute())})


class ResnetEncoder(BackboneEncoder):
    """ResNet50V2. He et al., "Identity Mappings in Deep Residual Networks", 2016."""

    kind: Literal["resnet"] = "resnet"


class MobilenetEncoder(BackboneEncoder):
    """MobileNetV2. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.

    Attributes:
        alpha: The share of the filters of every layer; 1.0 is the published network.
    """

    kind: Literal["mobilenet"] = "mobilenet"
    alpha: PositiveFloat = 1.0


class CustomEncoder(SharedByMembers):
    """Your own function, for any kind of feature.

    Attributes:
        builder: "package.module:function"; it is called with the `StoredFeature` and the tensor
            [B, *its shape], and returns a floating tensor [B, D]. A module of the declaration's
            folder is found. The tensor is of the stored dtype; a padded series ends in NaN.
    """

    reads_term_weights: ClassVar[bool] = True

    kind: Literal["custom"] = "custom"
    builder: ImportPath

    @property
    def user_function(self) -> str:
        """The declared one."""
        return self.builder


class SharedEncoder(EncoderSpec):
    """The encoder of another feature: the same layers with the same weights for both.

    Attributes:
        with_: The other feature, `with` in the declaration. It is stored alike, has no vocabulary
            of its own, and an encoder that it does not share itself.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    kind: Literal["shared"] = "shared"
    with_: Annotated[str, Field(alias="with")]

    @property
    def shares_with(self) -> str:
        """The declared one."""
        return self.with_


class OwnEncoder(SharedByMembers):
    """The encoder that comes with a feature kind of your own."""

    kind: Literal["own"] = "own"


Encoder = Annotated[
    EmbeddingEncoder
    | OneHotEncoder
    | DenseEncoder
    | PiecewiseEncoder
    | BagOfWordsEncoder
    | LstmEncoder
    | GruEncoder
    | Conv1dEncoder
    | TransformerEncoder
    | SignalEncoder
    | CnnEncoder
    | ResnetEncoder
    | MobilenetEncoder
    | CustomEncoder
    | SharedEncoder
    | OwnEncoder,
    Field(discriminator="kind"),
]

# Which encoders read which feature kind; the first is the default. Any kind can also be read by a
# function of the user's, or share the encoder of another feature.
ENCODERS_BY_FEATURE_KIND: dict[str, tuple[type[EncoderSpec], ...]] = {
    "categorical": (EmbeddingEncoder, OneHotEncoder),
    "numeric": (PiecewiseEncoder, DenseEncoder),
    "datetime": (PiecewiseEncoder, DenseEncoder),
    "text": (
        BagOfWordsEncoder,
        EmbeddingEncoder,
        LstmEncoder,
        GruEncoder,
        Conv1dEncoder,
        TransformerEncoder,
    ),
    "image": (CnnEncoder, ResnetEncoder, MobilenetEncoder),
    "sequence": (SignalEncoder, LstmEncoder, GruEncoder, Conv1dEncoder, TransformerEncoder),
    "noise": (DenseEncoder,),
}


def encoders_of(kind: str) -> tuple[type[EncoderSpec], ...]:
    """Returns the encoders that read a feature kind, the default first."""
    if is_user_kind(kind):
        return (OwnEncoder, CustomEncoder)
    return (*ENCODERS_BY_FEATURE_KIND[kind], CustomEncoder)
