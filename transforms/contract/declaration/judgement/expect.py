"""What a user expects of the rows of every partition, and a run holds against them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, FiniteFloat, model_validator

from transforms.contract.spec import RuleBroken, Spec

ROWS = "rows"  # stands for the partition itself where a feature or target could
Share = Annotated[float, Field(ge=0, le=1)]


class Expectation(Spec):
    """What is expected of a feature or target in the training rows of a partition, or of its rows.

    Attributes:
        between: The least and the greatest number that may occur; null leaves a side open.
        missing_at_most: The share of missing values.
        new_at_most: The share of values that no earlier partition has.
        at_least: Of `rows`, the fewest.
        at_most: Of `rows`, the most.
    """

    between: tuple[FiniteFloat | None, FiniteFloat | None] | None = None
    missing_at_most: Share | None = None
    new_at_most: Share | None = None
    at_least: Annotated[int, Field(ge=0)] | None = None
    at_most: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        low, high = self.between or (None, None)
        if low is not None and high is not None and low > high:
            raise RuleBroken("between", expected="a rising pair", received=f"[{low:g}, {high:g}]")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            received = f"{self.at_least} and {self.at_most}"
            raise RuleBroken(expected="at_least up to at_most", received=received)
        if not self.model_fields_set:
            raise RuleBroken(expected="something to expect", received="nothing")
        return self
