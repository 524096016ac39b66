"""The target kinds as a user declares them: what is predicted, its loss and its metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from transforms.contract.features import Layout, RawColumn
from transforms.contract.spec import Spec

TargetPolicy = Literal["reject", "mask"]
# "balanced" weighs a class by rows / (classes * rows of the class), counted on the training rows.
ClassWeights = Literal["balanced"] | dict[str, NonNegativeFloat]


class TargetSpec(Spec):
    """What every target kind has.

    Attributes:
        column: The source column; by default the column of the target's own name.
        missing: What a null does: "reject" drops the row into the rejects, "mask" keeps the row
            and gives this output no loss and no metric for it.
        invalid: The same choice for a value that is there but cannot be used.
        loss_weight: This target's share in the total loss.
    """

    column: str | None = None
    missing: TargetPolicy = "reject"
    invalid: TargetPolicy = "reject"
    loss_weight: NonNegativeFloat = 1.0


class Binary(TargetSpec):
    """Yes or no: a boolean, 0 or 1, or any column of which `positive` is the "yes" value.

    The head is a sigmoid. The loss "focal" counts rows that are easy already for less.
    """

    kind: Literal["binary"]
    positive: str | None = None
    loss: Literal["binary_crossentropy", "focal"] = "binary_crossentropy"
    class_weights: ClassWeights | None = None
    metrics: tuple[Literal["auc", "precision", "recall", "accuracy"], ...] = Field(
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
    """

    kind: Literal["multiclass"]
    vocabulary_size: PositiveInt = 1_000
    class_weights: ClassWeights | None = None
    metrics: tuple[Literal["accuracy", "top_3_accuracy"], ...] = Field(
        default=("accuracy",), min_length=1
    )

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this target."""
        return RawColumn(name=column, dtype="string")

    def layout(self) -> Layout:
        """Returns the id of the class."""
        return "int64", ()


class NumericTarget(TargetSpec):
    """A number, or a list of `length` numbers, in a row.

    Learnt on the standardized scale, each position on its own, and predicted in the column's unit.
    """

    kind: Literal["numeric"]
    length: PositiveInt | None = None
    scale: Literal["z_score", "none"] = "z_score"
    loss: Literal["mse", "mae", "huber"] = "mse"
    metrics: tuple[Literal["mae", "rmse"], ...] = Field(default=("mae", "rmse"), min_length=1)

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this target."""
        shape = () if self.length is None else (self.length,)
        return RawColumn(name=column, dtype="float32", shape=shape)

    def layout(self) -> Layout:
        """Returns the numbers on the scale that is learnt."""
        return "float32", () if self.length is None else (self.length,)


Target = Annotated[Binary | Multiclass | NumericTarget, Field(discriminator="kind")]
