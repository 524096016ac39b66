"""The base of every declared value: frozen, strict, and without unknown keys."""

from __future__ import annotations

from operator import not_
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# What is not marked is left out of every dump, so that no fingerprint is another for it.
Sensitive = Annotated[bool, Field(exclude_if=not_)]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]


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
