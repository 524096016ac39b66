"""The base of every declared value: frozen, strict, and without unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """A frozen, strictly typed part of the declaration; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
