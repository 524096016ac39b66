"""Counts in words: "1 target", "2 targets"."""

from __future__ import annotations


def counted(number: int, one: str, several: str | None = None) -> str:
    """Returns a number of things in words.

    Args:
        number: How many.
        one: What a single one is called.
        several: What more or none are called; by default `one` with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
