"""The names of the transform graph's inputs, where one column is read in several ways."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.contract.columns.features import RawColumn


def named_inputs(declared: Mapping[str, RawColumn]) -> dict[str, RawColumn]:
    """Returns the graph input of every feature and target, each with a name of its own.

    Those that read a column alike share an input. Where some differ, the one that is named like the
    column gives the input of the column's name its type, and without such a one "bytes" comes
    before "float32" and that before "string". Every other type has an input beside it,
    "<column>:<type>". So nothing depends on the order of a declaration, and an input keeps its name
    when a feature with a `column:` is added to the one that is named like it.

    Args:
        declared: The graph input, named like its column, of every feature and target by its name.
    """
    ranked = sorted(
        declared.items(),
        key=lambda item: (item[0] != item[1].name, *_order(item[1])),
        reverse=True,
    )
    first = {raw.name: raw for _, raw in ranked}
    return {name: raw if raw == first[raw.name] else _beside(raw) for name, raw in declared.items()}


def _order(raw: RawColumn) -> tuple[str, tuple[int, ...], bool, tuple[str, ...]]:
    return raw.dtype, raw.shape, raw.padded, raw.sources


def _beside(raw: RawColumn) -> RawColumn:
    name = f"{raw.name}:{raw.in_words()}"
    return raw.model_copy(update={"name": name, "sources": raw.columns})
