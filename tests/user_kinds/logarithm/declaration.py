from __future__ import annotations

from braid import FeatureSpec, Layout, RawColumn


class Declaration(FeatureSpec):
    """The logarithm of a number; without `careful` that of a missing one is none either."""

    careful: bool = True

    def raw(self, column: str) -> RawColumn:
        return RawColumn(name=column, dtype="float32")

    def layout(self) -> Layout:
        return "float32", ()
