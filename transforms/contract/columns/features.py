"""The feature kinds as a user declares them: what each accepts, and what it stores in a shard.

A kind is three small pieces under one name: its declaration (here), its transform
(`transforms/kinds/features/<kind>.py`) and its encoder (`trainer/network/encoders/<kind>.py`).
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, FiniteFloat, PositiveFloat, model_validator

from transforms.contract.columns.declared import DeclaredFeature
from transforms.contract.columns.numbers import LARGEST_FLOAT32
from transforms.contract.spec import Bytes, Count, Named, RuleBroken, Sensitive, Spec, Width

Policy = Literal["reject", "default", "missing_indicator"]
MAX_PIXELS = 50_000_000  # an 8-bit RGB picture of this size takes 150 MB decoded
Intensity = Annotated[int, Field(ge=0, le=255)]
RawDtype = Literal["string", "bytes", "float32"]
CutBy = Literal["values", "parts", "length"]
StoredDtype = Literal["int64", "float32", "uint8"]
Layout = tuple[StoredDtype, tuple[int, ...]]  # what a row has in the shards: dtype and shape

ID_PATTERN = "^[0-9]{1,18}$"  # a whole number as text that 64 bits hold; the same in every library
FIRST_TERM = 2  # the id of a text's most frequent term; 0 pads, 1 is an unknown term
MOST_CUT = 0.01  # of the texts of a column: a few long ones are no reason to keep more of all


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

    def in_words(self) -> str:
        """Returns its type for a message, such as "3 x float32" or "up to 5 x string"."""
        shape = " x ".join([*map(str, self.shape), self.dtype])
        return f"up to {shape}" if self.padded else shape


class FeatureSpec(DeclaredFeature):
    """The settings that every feature kind has.

    Attributes:
        column: The source column; by default the column of the feature's own name.
        missing: What a null (NaN, empty string) becomes: "reject" drops the row into the rejects,
            "default" stores the kind's default, "missing_indicator" stores the default and gives
            the model a 0/1 input beside it.
        invalid: The same choice for a value that is there but cannot be used.
        sensitive: Whether the column's values are kept out of all that people read: summaries,
            reports, rejects, logs and errors. Shards, vocabularies and the model have them.
        kind: The kind's name.
        cut_by: What of a single value tells rows apart where an evaluation slices them, if any.
    """

    cut_by: ClassVar[CutBy | None] = None
    kind: str
    column: Named | None = None
    missing: Policy = "default"
    invalid: Policy = "reject"
    sensitive: Sensitive = False

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
    """A category, or a list of up to `length` categories, encoded as ids; 0 is a missing value.

    Attributes:
        encoding: "vocabulary" gives the training rows' values the ids 1 to n by falling frequency,
            and all others the `oov_buckets` ids after them. "hash" gives every value one of
            `buckets` ids by a hash that never changes, so that nothing is learnt and two values
            may share an id. "identity" takes whole numbers from 0 to `buckets` - 1 as they are,
            stored as the number plus 1; any other value is invalid.
        vocabulary_size: At most so many values have an id of their own.
        minimum_count: A rarer value has none.
        oov_buckets: The ids that values outside the vocabulary share, by their hash.
        buckets: The number of ids of "hash" and "identity", the missing value apart.
        length: The column is of lists, and so many values of a row are kept; nulls do not count.
            A null and an empty list are missing, and one invalid value makes the list invalid.
        default: The value that a missing one becomes; None keeps id 0.
    """

    cut_by = "values"
    kind: Literal["categorical"]
    encoding: Literal["vocabulary", "hash", "identity"] = "vocabulary"
    vocabulary_size: Count = 10_000
    minimum_count: Count = 1
    oov_buckets: Count = 1
    buckets: Count | None = None
    length: Count | None = None
    default: str | None = None

    @model_validator(mode="after")
    def _encoding_has_its_keys(self) -> Self:
        if self.encoding == "vocabulary":
            if self.buckets is not None:
                raise RuleBroken(
                    expected="buckets only with encoding hash or identity",
                    received=f"buckets {self.buckets} with encoding vocabulary",
                )
            return self
        if self.buckets is None:
            raise RuleBroken(
                expected=f"buckets, as encoding {self.encoding} needs them", received="none"
            )
        for key in ("vocabulary_size", "minimum_count", "oov_buckets"):
            # By its value: a declaration that was written out and read again has every key.
            if getattr(self, key) != Categorical.model_fields[key].default:
                raise RuleBroken(
                    expected=f"{key} only with encoding vocabulary",
                    received=f"{key} {getattr(self, key)} with encoding {self.encoding}",
                )
        return self

    @model_validator(mode="after")
    def _default_is_an_id(self) -> Self:
        if self.encoding != "identity" or self.default is None or self.buckets is None:
            return self
        if not re.fullmatch(ID_PATTERN, self.default) or int(self.default) >= self.buckets:
            raise RuleBroken(
                expected=f"a default that is a whole number from 0 to {self.buckets - 1}",
                received=repr(self.default),
            )
        return self

    @property
    def has_statistics(self) -> bool:
        """Whether a vocabulary is counted."""
        return self.encoding == "vocabulary"

    def ids_mean_as_in(self, other: DeclaredFeature) -> bool:
        """Returns whether both have the ids of the same hash, or of the numbers themselves."""
        return isinstance(other, Categorical) and self.encoding == other.encoding != "vocabulary"

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        if self.length is None:
            return RawColumn(name=column, dtype="string")
        return RawColumn(name=column, dtype="string", shape=(self.length,), padded=True)

    def layout(self) -> Layout:
        """Returns one id, or `length` of them."""
        return "int64", () if self.length is None else (self.length,)


class Numeric(FeatureSpec):
    """A number, or a list of `length` numbers, in a row.

    Attributes:
        length: The column is of lists of so many numbers, each place with a scale of its own. A
            list in which a number is missing is missing as a whole.
        scale: "z_score" subtracts the training rows' mean and divides by their standard deviation;
            "min_max" maps their range to 0..1; "log" is sign(x) * log(1 + |x|), then "z_score";
            "quantile" is the share of the training rows below the value, 0..1; "bucketize" stores
            the index of the quantile bucket; "none" stores the value.
        buckets: How many of them "bucketize" makes.
        quantiles: "quantile" knows the values at so many equal steps of the rank, and goes
            straight from one to the next.
        clip: With "z_score" and "log", a value further than so many standard deviations from the
            mean is moved there.
        default: What a missing value becomes before scaling; None is the training rows' mean.
    """

    cut_by = "parts"
    kind: Literal["numeric"]
    length: Count | None = None
    scale: Literal["z_score", "min_max", "log", "quantile", "bucketize", "none"] = "z_score"
    buckets: Annotated[int, Field(ge=2, le=65_536)] = 10
    quantiles: Annotated[int, Field(ge=2, le=65_536)] = 100
    clip: PositiveFloat | None = None
    default: FiniteFloat | None = None

    @model_validator(mode="after")
    def _default_is_a_float32(self) -> Self:
        if self.default is not None and abs(self.default) > LARGEST_FLOAT32:
            raise RuleBroken(
                expected=f"a default between -{LARGEST_FLOAT32:.2g} and {LARGEST_FLOAT32:.2g}, as "
                "numbers are float32",
                received=str(self.default),
            )
        return self

    @model_validator(mode="after")
    def _only_deviations_are_clipped(self) -> Self:
        if self.clip is not None and self.scale not in ("z_score", "log"):
            raise RuleBroken(
                expected="clip only with scale z_score or log",
                received=f"clip {self.clip} with scale {self.scale}",
            )
        return self

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        shape = () if self.length is None else (self.length,)
        return RawColumn(name=column, dtype="float32", shape=shape)

    def layout(self) -> Layout:
        """Returns the scaled numbers, or the ids of their buckets."""
        shape = () if self.length is None else (self.length,)
        return ("int64" if self.scale == "bucketize" else "float32"), shape


class Text(FeatureSpec):
    """A text, split into terms and encoded as `length` ids.

    Id 0 pads, 1 is a term outside the vocabulary, 2 and up are the vocabulary by falling
    frequency. Terms beyond `length` are cut.

    Attributes:
        vocabulary_size: At most so many terms have an id of their own.
        minimum_count: A rarer term has none.
        length: So many terms of a text are kept.
        lower: Whether upper case and lower case are alike.
        strip_punctuation: Whether punctuation is taken for a space.
        level: A term is made of "words" or of "characters"; white space between characters is one
            space.
        ngrams: All sequences of 1 to so many neighbours are terms, in the order of their first
            word or character, the shorter ones first. Words are joined by a space.
        weights: "tf_idf" counts the training rows that have a term, for the encoder
            `bag_of_words`. The vocabulary is then ranked by that number, and `minimum_count` is
            held against it.
    """

    cut_by = "length"
    kind: Literal["text"]
    vocabulary_size: Count = 20_000
    minimum_count: Count = 1
    length: Count = 64
    lower: bool = True
    strip_punctuation: bool = True
    level: Literal["words", "characters"] = "words"
    ngrams: Count = 1
    weights: Literal["tf_idf"] | None = None

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        return RawColumn(name=column, dtype="string")

    @property
    def has_term_weights(self) -> bool:
        """Whether weights are declared."""
        return self.weights is not None

    def layout(self) -> Layout:
        """Returns the ids of the terms."""
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
    height: Width
    width: Width
    channels: Literal[1, 3, 4] = 3
    background: tuple[Intensity, Intensity, Intensity] | None = None
    storage: Literal["raw", "jpeg", "png"] = "raw"
    max_pixels: Bytes = MAX_PIXELS

    @model_validator(mode="after")
    def _jpeg_has_no_alpha(self) -> Self:
        if self.storage == "jpeg" and self.channels == 4:
            raise RuleBroken(
                expected="storage 'png' or 'raw' for 4 channels, as JPEG stores no alpha",
                received="storage 'jpeg'",
            )
        return self

    @model_validator(mode="after")
    def _background_replaces_alpha(self) -> Self:
        if self.background is not None and self.channels == 4:
            raise RuleBroken(
                expected="no background for 4 channels, as these keep the transparency",
                received=f"background {list(self.background)}",
            )
        return self

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        return RawColumn(name=column, dtype="bytes")

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width in pixels, after resizing."""
        return self.height, self.width

    @property
    def has_statistics(self) -> bool:
        """Returns False: the analysis reads no picture."""
        return False

    def layout(self) -> Layout:
        """Returns the pixels."""
        return "uint8", (self.height, self.width, self.channels)


class Noise(DeclaredFeature):
    """Random numbers that no column feeds, drawn anew for every batch.

    They are not in the shards. Training draws them from its seed, epoch and batch; evaluation from
    the seed alone. The exported model takes them as an argument and draws what is missing there.

    Attributes:
        dimension: Numbers in a row.
        distribution: "normal" has mean 0 and deviation 1, "uniform" lies between -1 and 1.
    """

    kind: Literal["noise"]
    dimension: Width
    distribution: Literal["normal", "uniform"] = "normal"

    @property
    def has_indicator(self) -> bool:
        """Whether the model gets an input that says that the value was missing: it never is."""
        return False

    @property
    def has_statistics(self) -> bool:
        """Returns False: no row has any of it."""
        return False

    def layout(self) -> Layout:
        """Returns the random numbers."""
        return "float32", (self.dimension,)
