"""The target kinds as a user declares them: what is predicted, its loss and its metrics."""

from __future__ import annotations

from operator import not_
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, NonNegativeFloat, Tag, model_validator

from transforms.contract.columns.declared import DeclaredTarget
from transforms.contract.columns.features import MAX_PIXELS, Layout, RawColumn
from transforms.contract.expressions import Expression
from transforms.contract.spec import Bytes, Count, Named, RuleBroken, Sensitive, Width

TargetPolicy = Literal["reject", "mask"]
# What a number goes through before it is learnt.
NumberScale = Literal["z_score", "log", "quantile", "none"]
BinaryMetric = Literal[
    "auc", "average_precision", "precision", "recall", "f1", "accuracy", "log_loss",
    "calibration_error",
]  # fmt: skip
ClassMetric = Literal[
    "accuracy", "top_3_accuracy", "top_5_accuracy", "f1", "log_loss", "calibration_error"
]
NumberMetric = Literal["mae", "rmse", "r2", "mape", "median_absolute_error"]
# How much of a label's certainty goes to all classes alike.
LabelSmoothing = Annotated[float, Field(ge=0, lt=1)]
# "balanced" weighs a class by rows / (classes * rows of the class), counted on the training rows.
ClassWeights = Literal["balanced"] | dict[str, NonNegativeFloat]


def _is_none(value: object) -> bool:
    return value is None


def _metric_or_number(value: object) -> str:
    return "metric" if isinstance(value, str) else "number"


# Left out of a dump that does not have them, so that no model is another for their sake.
Calibration = Annotated[Literal["temperature", "isotonic"] | None, Field(exclude_if=_is_none)]
_Threshold = Annotated[
    Annotated[Literal["f1", "accuracy", "balanced_accuracy"], Tag("metric")]
    | Annotated[float, Field(gt=0, lt=1), Tag("number")],
    Discriminator(_metric_or_number),
]
Threshold = Annotated[_Threshold | None, Field(exclude_if=_is_none)]


class TargetSpec(DeclaredTarget):
    """The settings that every target kind has.

    Attributes:
        column: The source column; by default the column of the target's own name.
        expression: What it is instead of a column, such as "tips > 0.2 * fare" on the columns of
            the row; it is a missing value where one of these is. Leave out of the features what
            nobody knows before the target is known.
        missing: What a null does: "reject" drops the row into the rejects, "mask" keeps the row
            and gives this output no loss and no metric for it.
        invalid: The same choice for a value that is there but cannot be used.
        loss_weight: This target's share in the total loss.
        sensitive: As that of a feature.
    """

    column: Named | None = None
    expression: Annotated[Expression | None, Field(exclude_if=not_)] = None
    missing: TargetPolicy = "reject"
    invalid: TargetPolicy = "reject"
    loss_weight: NonNegativeFloat = 1.0
    sensitive: Sensitive = False

    @model_validator(mode="after")
    def _a_column_or_an_expression(self) -> Self:
        if self.column is not None and self.expression is not None:
            raise RuleBroken(expected="column or expression", received="both")
        return self

    @property
    def weights_of_classes(self) -> Any:
        """The declared `class_weights`, of a kind that has them; else None."""
        return getattr(self, "class_weights", None)


class Binary(TargetSpec):
    """Yes or no: a boolean, 0 or 1, or any column of which `positive` is the "yes" value.

    The head is a sigmoid. The loss "focal" counts rows that are easy already for less.
    "calibration_error" is how far probabilities lie from the shares of rows that come true.

    Attributes:
        label_smoothing: In the training loss alone, a "yes" is 1 less half of this, a "no" half of
            it.
        spread: Whether the standard deviation of the members' probabilities is an output too.
        calibration: What the export does to probabilities so that they come true as often as they
            say, fitted on the validation rows: "temperature" divides their logits by one number,
            "isotonic" moves them along a rising curve, which takes some thousand rows.
        threshold: The probability from which the answer is yes, in an output of its own and for
            precision, recall, F1 and accuracy: a number, or the metric that is the highest with it
            on the validation rows.
    """

    fewest_labels: ClassVar[int] = 2
    fixed_labels: ClassVar[tuple[str, ...]] = ("0", "1")

    kind: Literal["binary"]
    positive: str | None = None
    loss: Literal["binary_crossentropy", "focal"] = "binary_crossentropy"
    class_weights: ClassWeights | None = None
    label_smoothing: LabelSmoothing = 0.0
    spread: bool = False
    calibration: Calibration = None
    threshold: Threshold = None
    metrics: tuple[BinaryMetric, ...] = Field(
        default=("auc", "precision", "recall", "accuracy"), min_length=1
    )

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this target."""
        return RawColumn(name=column, dtype="string")

    def layout(self) -> Layout:
        """Returns 0 or 1."""
        return "float32", ()


class Multiclass(TargetSpec):
    """One label of several; the labels seen in the training rows become the classes.

    The head is a softmax, the loss categorical cross-entropy. A label that the training rows do
    not have is an invalid value.

    Attributes:
        label_smoothing: In the training loss alone, this much of every label is shared among all
            classes alike.
        spread: Whether the standard deviation of the members' probabilities of the label that is
            answered is an output too.
        calibration: As that of a binary target; "isotonic" moves each class on its own.
    """

    has_classes: ClassVar[bool] = True
    fewest_labels: ClassVar[int] = 2

    kind: Literal["multiclass"]
    vocabulary_size: Count = 1_000
    class_weights: ClassWeights | None = None
    label_smoothing: LabelSmoothing = 0.0
    spread: bool = False
    calibration: Calibration = None
    metrics: tuple[ClassMetric, ...] = Field(default=("accuracy", "log_loss"), min_length=1)

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this target."""
        return RawColumn(name=column, dtype="string")

    def layout(self) -> Layout:
        """Returns the id of the class."""
        return "int64", ()


class NumericTarget(TargetSpec):
    """A number, or a list of `length` numbers, in a row.

    Learnt on a scale of the training rows, each position on its own, and predicted in the column's
    unit.

    Attributes:
        length: The column is of lists of so many numbers.
        scale: "z_score" subtracts the training rows' mean and divides by their standard deviation;
            "log" is sign(x) * log(1 + |x|), then "z_score"; "quantile" is the standard normal score
            of the number's rank among the training rows; "none" is the number. Without one it is
            "log" for all of a target if none of its training rows' numbers is negative, their
            skewness is above 1 beyond chance, and the log takes two thirds of it; else "z_score".
            What "log" predicts stays within twice the training rows' range of logs, and what
            "quantile" predicts within their range.
        spread: Whether the standard deviation of the members' numbers is an output too, in the
            column's unit and made so wide that 68.3 % of the validation rows' numbers lie within
            one of it of what is answered, as within one standard deviation of a normal error.
        metrics: Over all numbers together. "mape" is a fraction, and leaves out numbers that are 0.
    """

    learns_numbers: ClassVar[bool] = True

    kind: Literal["numeric"]
    length: Count | None = None
    scale: NumberScale | None = None
    loss: Literal["mse", "mae", "huber"] = "mse"
    spread: bool = False
    metrics: tuple[NumberMetric, ...] = Field(default=("mae", "rmse", "r2"), min_length=1)

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this target."""
        shape = () if self.length is None else (self.length,)
        return RawColumn(name=column, dtype="float32", shape=shape)

    def layout(self) -> Layout:
        """Returns the numbers on the scale that is learnt."""
        return "float32", () if self.length is None else (self.length,)


class Multilabel(TargetSpec):
    """Any number of labels: a list column; the labels seen in the training rows become the classes.

    The head is a sigmoid for every class. An empty list is a row without any of them, a null is a
    missing value. A label that the training rows do not have is an invalid value.

    Attributes:
        length: At most so many labels a row; a row with more is invalid.
        label_smoothing: As that of a binary target, for every class.
        metrics: Over all classes together, each row's each class counting once.
    """

    has_classes: ClassVar[bool] = True
    fewest_labels: ClassVar[int] = 1

    kind: Literal["multilabel"]
    vocabulary_size: Count = 1_000
    length: Count = 32
    loss: Literal["binary_crossentropy", "focal"] = "binary_crossentropy"
    label_smoothing: LabelSmoothing = 0.0
    metrics: tuple[BinaryMetric, ...] = Field(
        default=("auc", "precision", "recall", "accuracy"), min_length=1
    )

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this target."""
        return RawColumn(name=column, dtype="string", shape=(self.length,), padded=True)

    def layout(self) -> Layout:
        """Returns the ids of the classes, from 1, padded with 0."""
        return "int64", (self.length,)


class SequenceTarget(TargetSpec):
    """A series of `length` steps of `channels` numbers: several horizons at once, or a signal.

    Learnt on a scale of each channel, and predicted in the column's unit.

    Attributes:
        length: Steps.
        channels: Numbers a step.
        scale: As that of a numeric target.
        metrics: Likewise.
    """

    learns_numbers: ClassVar[bool] = True

    kind: Literal["sequence"]
    length: Count
    channels: Width = 1
    scale: NumberScale | None = None
    loss: Literal["mse", "mae", "huber"] = "mse"
    metrics: tuple[NumberMetric, ...] = Field(default=("mae", "rmse", "r2"), min_length=1)

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this target."""
        return RawColumn(name=column, dtype="float32", shape=(self.length, self.channels))

    def layout(self) -> Layout:
        """Returns the numbers on the scale that is learnt."""
        return "float32", (self.length, self.channels)


class ImageTarget(TargetSpec):
    """The settings of every target that is a picture; `content` says what its pixels are.

    The column is like that of an image feature: encoded bytes, or the path of a file. Pictures are
    read with 8 bits a channel.

    Attributes:
        height: Rows of pixels after resizing.
        width: Columns of pixels after resizing.
        source_channel: What of the picture is the target: its color (gray for one channel), or its
            alpha channel. A picture without one is opaque everywhere.
        storage: How pixels lie in the shards. "raw" reads back fastest, "png" is smaller and exact.
        max_pixels: A picture whose header claims more is refused before it is decoded.
    """

    is_mask: ClassVar[bool] = True
    has_pixel_values: ClassVar[bool] = True

    kind: Literal["image"]
    height: Width
    width: Width
    source_channel: Literal["color", "alpha"] = "color"
    storage: Literal["raw", "png"] = "raw"
    max_pixels: Bytes = MAX_PIXELS

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width in pixels, after resizing."""
        return self.height, self.width

    @property
    def has_statistics(self) -> bool:
        """Returns False: the analysis reads no picture."""
        return False

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this target."""
        return RawColumn(name=column, dtype="bytes")

    def layout(self) -> Layout:
        """Returns the pixels."""
        return "uint8", (self.height, self.width, 1)


class BinaryMask(ImageTarget):
    """A pixel is foreground or background: a value from 128 is foreground.

    The head is a sigmoid for every pixel. "dice" is the overlap that a picture lacks (Milletari et
    al., "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation",
    2016), "crossentropy_dice" its sum with the binary cross-entropy.
    """

    content: Literal["binary_mask"]
    loss: Literal["binary_crossentropy", "dice", "crossentropy_dice"] = "binary_crossentropy"
    metrics: tuple[Literal["iou", "dice", "accuracy"], ...] = Field(
        default=("iou", "dice", "accuracy"), min_length=1
    )


class ClassMask(ImageTarget):
    """A pixel is one of several classes: its gray value is the class, from 0.

    The head is a softmax for every pixel. A picture with a value of `classes` or above is invalid.
    """

    has_pixel_values: ClassVar[bool] = False

    content: Literal["class_mask"]
    classes: Annotated[int, Field(ge=2, le=256)]
    loss: Literal["crossentropy"] = "crossentropy"
    metrics: tuple[Literal["mean_iou", "accuracy"], ...] = Field(
        default=("mean_iou", "accuracy"), min_length=1
    )


class ContinuousImage(ImageTarget):
    """A pixel is a quantity, such as a depth or a brightness; learnt and predicted from 0 to 1.

    Attributes:
        channels: 1 is gray, 3 is RGB.
        activation: Of the head; "relu" and "linear" may give more than 1.
    """

    is_mask: ClassVar[bool] = False  # there are values between two others

    content: Literal["continuous"]
    channels: Literal[1, 3] = 1
    activation: Literal["sigmoid", "relu", "linear"] = "sigmoid"
    loss: Literal["mse", "mae"] = "mse"
    metrics: tuple[Literal["mae", "mse", "psnr"], ...] = Field(
        default=("mae", "mse", "psnr"), min_length=1
    )

    @model_validator(mode="after")
    def _alpha_is_one_channel(self) -> Self:
        if self.source_channel == "alpha" and self.channels != 1:
            raise RuleBroken(
                expected="1 channel, as alpha has no more", received=str(self.channels)
            )
        return self

    def layout(self) -> Layout:
        """Returns the pixels."""
        return "uint8", (self.height, self.width, self.channels)


Target = Annotated[
    Binary
    | Multiclass
    | NumericTarget
    | Multilabel
    | SequenceTarget
    | Annotated[BinaryMask | ClassMask | ContinuousImage, Field(discriminator="content")],
    Field(discriminator="kind"),
]
