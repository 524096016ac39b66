from __future__ import annotations

from typing import Literal

from braid import FeatureSpec, Layout, RawColumn


class Declaration(FeatureSpec):
    """A direction as a point of the unit circle."""

    unit: Literal["degrees", "radians"] = "degrees"

    def raw(self, column: str) -> RawColumn:
        return RawColumn(name=column, dtype="float32")

    def layout(self) -> Layout:
        return "float32", (2,)
