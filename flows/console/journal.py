"""The journal of a run: what its reporter is told, kept where others read it later."""

from __future__ import annotations

from typing import Protocol


class Journal(Protocol):
    """Keeps lines about what a run does."""

    def write(self, line: str, *, failed: bool = False) -> None:
        """Keeps a line.

        Args:
            line: What is told, without markup; it may have names and values of a table.
            failed: Whether it tells of a failure.
        """
