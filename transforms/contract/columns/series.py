"""Series of numbers as a user declares them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from transforms.contract.columns.features import FeatureSpec, Layout, RawColumn
from transforms.contract.spec import Count, Named, RuleBroken, Width


class Sequence(FeatureSpec):
    """A series of steps, each of `channels` numbers: a signal, a history, a window of a long table.

    Steps beyond `length` are cut, as the words of a text are. A null within the series is a missing
    number, which becomes its channel's mean; an infinite number makes the series invalid. A series
    without any number is missing.

    Attributes:
        length: Steps. Unless the series is `variable`, one of another length is invalid.
        channels: Numbers in a step; by default 1, or as many as `columns`.
        columns: List columns of equal length, one a channel, instead of one column.
        variable: Whether a series may be shorter or longer. A shorter one ends in NaN in the shards
            (`StoredFeature.padded`), which the encoders leave out.
        scale: Of each channel, over all steps of the training rows. "z_score" subtracts the mean
            and divides by the standard deviation; "min_max" maps the range to 0..1; "none" leaves
            the numbers.
    """

    kind: Literal["sequence"]
    length: Count
    channels: Width | None = None
    columns: Annotated[tuple[Named, ...], Field(min_length=1)] | None = None
    variable: bool = False
    scale: Literal["z_score", "min_max", "none"] = "z_score"

    @model_validator(mode="after")
    def _channels_have_one_source(self) -> Self:
        if self.columns is None:
            return self
        if self.column is not None:
            raise RuleBroken(
                expected="either column or columns", received=f"both, {self.column!r} as column"
            )
        if self.channels not in (None, len(self.columns)):
            raise RuleBroken(
                expected="as many channels as columns",
                received=f"{self.channels} for {len(self.columns)}",
            )
        if len(set(self.columns)) < len(self.columns):
            raise RuleBroken(expected="columns that differ", received=", ".join(self.columns))
        return self

    @property
    def width(self) -> int:
        """The numbers in a step."""
        return self.channels or len(self.columns or ("",))

    def raw(self, column: str) -> RawColumn:
        """Returns the graph input for this feature."""
        return RawColumn(
            name=column,
            dtype="float32",
            shape=(self.length, self.width),
            padded=self.variable,
            sources=self.columns or (),
        )

    def layout(self) -> Layout:
        """Returns the steps."""
        return "float32", (self.length, self.width)
