"""The base of every declared value: frozen, strict, and without unknown keys."""

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


def refuse_uneven_heads(width: int, heads: int, name: str) -> None:
    """Refuses a width that the heads of an attention cannot share.

    Raises:
        ValueError: The width is no multiple of the number of heads.
    """
    if width % heads:
        raise ValueError(f"{name} to be a multiple of heads, received {width} for {heads} heads")
