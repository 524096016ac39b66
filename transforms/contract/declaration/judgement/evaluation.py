"""What an evaluation tells beside its metrics, as a user declares it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from transforms.contract.spec import Count, Spec

DEFAULT_LEVEL = 0.95  # of intervals, as most publications have them
SLICE_PARTS = 4  # of a text's length, where nothing else is said

Level = Annotated[float, Field(ge=0.5, le=0.99)]
Parts = Annotated[int, Field(ge=2, le=20)]


def _one_or_cut(value: Any) -> str:
    return "cut" if isinstance(value, dict) else "feature"


def _parts_or_length(value: Any) -> str:
    return "length" if isinstance(value, str) else "parts"


_How = Annotated[
    Annotated[Parts, Tag("parts")] | Annotated[Literal["length"], Tag("length")],
    Discriminator(_parts_or_length),
]
Slice = Annotated[
    Annotated[str, Tag("feature")]
    | Annotated[dict[str, _How], Field(min_length=1, max_length=1), Tag("cut")],
    Discriminator(_one_or_cut),
]


class EvaluationSpec(Spec):
    """What an evaluation tells of the test rows beside their metrics.

    Attributes:
        slices: By what the rows are told apart: the name of a categorical feature, whose values
            are the slices; `{area: 4}`, as many parts of a number, with as many rows in each; or
            `{review: length}`, four parts of a text by its length.
        intervals: The share of the bootstrap's metrics that lie within the interval that is shown;
            None makes no bootstrap.
        replicates: Of the bootstrap: how often the test rows are drawn anew.
        importance: Whether each column's part in the answers is measured, by shuffling it.
    """

    slices: Annotated[tuple[Slice, ...], Field(max_length=20)] = ()
    intervals: Level | None = DEFAULT_LEVEL
    replicates: Annotated[Count, Field(ge=100, le=100_000)] = 1_000
    importance: bool = True

    def cuts(self) -> tuple[tuple[str, int | Literal["values", "length"]], ...]:
        """Returns the feature of every slicing, and how it is cut: its values, parts, or length."""
        return tuple(
            (each, "values") if isinstance(each, str) else next(iter(each.items()))
            for each in self.slices
        )
