"""The base of every declared value, without unknown keys, and what a broken rule raises."""

from __future__ import annotations

from operator import not_
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# What is not marked is left out of every dump, so that no fingerprint is another for it.
Sensitive = Annotated[bool, Field(exclude_if=not_)]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]
# Upper bounds are far above what makes sense, and below what no machine can count, make or keep.
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Width = Annotated[int, Field(ge=1, le=65_536)]  # of a layer, a list, a picture's side
Bytes = Annotated[int, Field(ge=1, le=2**50)]
Named = Annotated[str, Field(min_length=1, max_length=1_000)]  # a column, a path


class Spec(BaseModel):
    """A frozen, strictly typed part of the declaration; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RuleBroken(ValueError):  # noqa: N818 - it names what happened
    """A value that a rule of the declaration refuses.

    Validators raise it, and pydantic carries it to where the declaration is read.

    Args:
        place: The keys from the validated value to what is to be corrected, with dots between them;
            by default the value itself. A rule of the whole declaration has to name its place.
        expected: What would have been right there.
        received: What is there instead.
    """

    def __init__(self, place: str = "", *, expected: str, received: str) -> None:
        self.place = place
        self.expected = expected
        self.received = received
        super().__init__(f"{place + ': ' if place else ''}expected {expected}, received {received}")


def refuse_uneven_heads(width: int, heads: int, name: str) -> None:
    """Refuses a width that the heads of an attention cannot share.

    Raises:
        RuleBroken: The width is no multiple of the number of heads.
    """
    if width % heads:
        raise RuleBroken(
            expected=f"{name} to be a multiple of heads", received=f"{width} for {heads} heads"
        )
