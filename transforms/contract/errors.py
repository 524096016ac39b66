"""Failures that a user can act on. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

import errno
from typing import Any

from transforms.contract.masking import masked


class BraidError(Exception):
    """Something that a user can cause and mend.

    Args:
        place: Where it is wrong: a path in the declaration, a file, a column, a step.
        expected: What would have been right there.
        received: What is there instead.
        action: What to do next, as a sentence.

    Secrets are masked in all of them, and what is no Unicode is spelled out, as no JSON takes it.
    """

    exit_code = 1

    def __init__(self, place: str, *, expected: str, received: str, action: str) -> None:
        self.place = _shown(place)
        self.expected = _shown(expected)
        self.received = _shown(received)
        self.action = _shown(action)
        super().__init__(
            f"{self.place}: expected {self.expected}, received {self.received}. {self.action}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.place, self.expected, self.received, self.action)
        return copied, (type(self), *fields), vars(self).copy()


class DeclarationError(BraidError):
    """The declaration or the command is wrong; nothing was run."""

    exit_code = 2


class Diverged(BraidError):  # noqa: N818 - it names what happened
    """The loss of a training has left the numbers."""


def _shown(text: str) -> str:
    return masked(text).encode(errors="backslashreplace").decode()


def copied(
    kind: type[BraidError], place: str, expected: str, received: str, action: str
) -> BraidError:
    """Returns an error as it was raised elsewhere."""
    # Not by its constructor: a class may take other arguments, and has the same fields.
    error = kind.__new__(kind)
    BraidError.__init__(error, place, expected=expected, received=received, action=action)
    return error


def storage_error(error: OSError, place: str) -> BraidError:
    """Turns what the operating system says about a file into an error that says what to do."""
    actions = {
        errno.ENOSPC: "Free some space or give another --workspace, and run again: finished work "
        "is kept.",
        errno.EACCES: "Give this user access to it, or give another --workspace.",
        errno.EROFS: "Give a --workspace on a file system that can be written.",
    }
    return BraidError(
        str(error.filename or place),
        expected="a file system that can be read and written",
        received=error.strerror or str(error),
        action=actions.get(error.errno or 0, "Correct what the message names, and run again."),
    )
