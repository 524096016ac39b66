"""The feature kinds as a user declares them: what each accepts, and what it stores in a shard.

A kind is three small pieces under one name: its declaration (here), its transform
(`transforms/features/<kind>.py`) and its encoder (`trainer/encoders/<kind>.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, PositiveInt, model_validator

from transforms.contract.spec import Spec

Policy = Literal["reject", "default", "missing_indicator"]
MAX_PIXELS = 50_000_000  # an 8-bit RGB picture of this size takes 150 MB decoded
Intensity = Annotated[int, Field(ge=0, le=255)]
RawDtype = Literal["string", "bytes", "float32"]
StoredDtype = Literal["int64", "float32", "uint8"]
Layout = tuple[StoredDtype, tuple[int, ...]]  # what a row has in the shards: dtype and shape


class RawColumn(Spec):
    """One source column as the transform graph takes it.

    A missing value is the empty string for "string" and "bytes", and NaN for "float32".

    Attributes:
        name: The graph input's name, and the source column's unless `sources` says otherwise.
        dtype: The element type of the graph's input.
        shape: Its shape in a row, without the batch.
        padded: Whether a row may have fewer entries along the first axis; the rest is missing.
        sources: The source columns that are stacked along the last axis; empty for the one column
            of the same name.
    """

    name: str
    dtype: RawDtype
    shape: tuple[int, ...] = ()
    padded: bool = False
    sources: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The source columns that are read."""
        return self.sources or (self.name,)


class FeatureSpec(Spec):
    """What every feature kind has.

    Attributes:
        column: The source column; by default the column of the feature's own name.
        missing: What a null (NaN, empty string) becomes: "reject" drops the row into the rejects,
            "default" stores the kind's default, "missing_indicator" stores the default and gives
            the model a 0/1 input beside it.
        invalid: The same choice for a value that is there but cannot be used.
        kind: The kind's name.
    """

    kind: str
    column: str | None = None
    missing: Policy = "default"
    invalid: Policy = "reject"

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        raise NotImplementedError

    def layout(self) -> Layout:
        """Returns what a row has in the shards, and in the model's input."""
        raise NotImplementedError

    @property
    def has_indicator(self) -> bool:
        """Whether the model gets an input that says that the value was missing."""
        return "missing_indicator" in (self.missing, self.invalid)


class Categorical(FeatureSpec):
    """A string or integer column, encoded as ids.

    Id 0 is a missing value, 1 to n are the vocabulary by falling frequency, and the last
    `oov_buckets` ids are shared by all other values.
    """

    kind: Literal["categorical"]
    vocabulary_size: PositiveInt = 10_000
    minimum_count: PositiveInt = 1
    oov_buckets: PositiveInt = 1
    default: str | None = None  # the term that a missing value becomes; None keeps id 0

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        return RawColumn(name=column, dtype="string")

    def layout(self) -> Layout:
        """Returns one id."""
        return "int64", ()


class Numeric(FeatureSpec):
    """A number, or a list of `length` numbers, in a row.

    Attributes:
        scale: "z_score" subtracts the training rows' mean and divides by their standard deviation;
            "min_max" maps their range to 0..1; "log" is sign(x) * log(1 + |x|), then "z_score";
            "bucketize" stores the index of the quantile bucket; "none" stores the value.
        default: What a missing value becomes before scaling; None is the training rows' mean.
    """

    kind: Literal["numeric"]
    length: PositiveInt | None = None
    scale: Literal["z_score", "min_max", "log", "bucketize", "none"] = "z_score"
    buckets: Annotated[int, Field(ge=2)] = 10
    default: FiniteFloat | None = None

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        shape = () if self.length is None else (self.length,)
        return RawColumn(name=column, dtype="float32", shape=shape)

    def layout(self) -> Layout:
        """Returns the scaled numbers, or the ids of their buckets."""
        shape = () if self.length is None else (self.length,)
        return ("int64" if self.scale == "bucketize" else "float32"), shape


class Text(FeatureSpec):
    """A text, split into words and encoded as `length` ids.

    Id 0 pads, 1 is a word outside the vocabulary, 2 and up are the vocabulary by falling
    frequency. Words beyond `length` are cut.
    """

    kind: Literal["text"]
    vocabulary_size: PositiveInt = 20_000
    minimum_count: PositiveInt = 1
    length: PositiveInt = 64
    lower: bool = True
    strip_punctuation: bool = True

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        return RawColumn(name=column, dtype="string")

    def layout(self) -> Layout:
        """Returns the ids of the words."""
        return "int64", (self.length,)


class Image(FeatureSpec):
    """A picture: encoded bytes (JPEG, PNG, GIF's first frame, BMP), or the path of such a file.

    Attributes:
        height: Rows of pixels after resizing.
        width: Columns of pixels after resizing.
        channels: 1 is gray, 3 is RGB, 4 is RGBA.
        background: The color (red, green, blue) that the transparent pixels of a PNG are laid over;
            None drops the transparency and takes whatever color lies under it.
        storage: How pixels lie in the shards. "raw" reads back fastest by far and takes the most
            room; "jpeg" takes a tenth of it and loses a little; "png" is exact and slow.
        max_pixels: A picture whose header claims more is refused before it is decoded.
    """

    kind: Literal["image"]
    height: PositiveInt
    width: PositiveInt
    channels: Literal[1, 3, 4] = 3
    background: tuple[Intensity, Intensity, Intensity] | None = None
    storage: Literal["raw", "jpeg", "png"] = "raw"
    max_pixels: PositiveInt = MAX_PIXELS

    @model_validator(mode="after")
    def _jpeg_has_no_alpha(self) -> Self:
        if self.storage == "jpeg" and self.channels == 4:
            raise ValueError("storage 'png' or 'raw' for 4 channels, as JPEG stores no alpha")
        return self

    @model_validator(mode="after")
    def _background_replaces_alpha(self) -> Self:
        if self.background is not None and self.channels == 4:
            raise ValueError("no background for 4 channels, as these keep the transparency")
        return self

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        return RawColumn(name=column, dtype="bytes")

    def layout(self) -> Layout:
        """Returns the pixels."""
        return "uint8", (self.height, self.width, self.channels)


class Noise(Spec):
    """Random numbers that no column feeds, drawn anew for every batch.

    They are not in the shards. Training draws them from its seed, epoch and batch; evaluation from
    the seed alone. The exported model takes them as an argument and draws what is missing there.

    Attributes:
        dimension: Numbers in a row.
        distribution: "normal" has mean 0 and deviation 1, "uniform" lies between -1 and 1.
    """

    kind: Literal["noise"]
    dimension: PositiveInt
    distribution: Literal["normal", "uniform"] = "normal"

    @property
    def has_indicator(self) -> bool:
        """Whether the model gets an input that says that the value was missing: it never is."""
        return False

    def layout(self) -> Layout:
        """Returns the random numbers."""
        return "float32", (self.dimension,)
