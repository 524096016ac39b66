"""The terms of a frozen vocabulary, as the transform graph carries them along.

A vocabulary is an asset of the graph's SavedModel under the name of its feature or target, and so
it is one of every exported model that the graph is a part of.
"""

from __future__ import annotations

from pathlib import Path


def read_terms(saved_model: Path, name: str) -> tuple[bytes, ...] | None:
    """Returns the terms of a vocabulary in the order of their ids, or None if there is none.

    Args:
        saved_model: The folder of a transform's `graph`, or of an export.
        name: The feature's or the target's name.
    """
    return terms_of(saved_model / "assets" / f"{name}.txt")


def terms_of(path: Path) -> tuple[bytes, ...] | None:
    """Returns the terms of a vocabulary's file in the order of their ids; None without a file."""
    # Lines end in "\n" alone: a term may have one of Unicode's other line breaks in it.
    return tuple(path.read_bytes().split(b"\n")[:-1]) if path.exists() else None
