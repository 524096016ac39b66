"""Values of a table in a comment of a declaration."""

from __future__ import annotations

_LONGEST = 30


def shown(value: object) -> str:
    """Returns a value in quotes on one line, cut where it is long."""
    text = str(value)
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f'"{_plain(cut)}"'


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
