"""Failures that a user can act on. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from transforms.contract.masking import masked


class BraidError(Exception):
    """Something that a user can cause and mend.

    Args:
        place: Where it is wrong: a path in the declaration, a file, a column, a step.
        expected: What would have been right there.
        received: What is there instead.
        action: What to do next, as a sentence.

    Secrets are masked in all of them.
    """

    exit_code = 1

    def __init__(self, place: str, *, expected: str, received: str, action: str) -> None:
        self.place = masked(place)
        self.expected = masked(expected)
        self.received = masked(received)
        self.action = masked(action)
        super().__init__(
            f"{self.place}: expected {self.expected}, received {self.received}. {self.action}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _copied, (type(self), self.to_dict()), vars(self).copy()

    def to_dict(self) -> dict[str, Any]:
        """Returns what `error_from_dict` needs to raise this error in another process."""
        return {
            "type": type(self).__name__,
            "place": self.place,
            "expected": self.expected,
            "received": self.received,
            "action": self.action,
        }


class DeclarationError(BraidError):
    """The declaration or the command is wrong; nothing was run."""

    exit_code = 2


class Diverged(BraidError):  # noqa: N818 - it names what happened
    """The loss of a training has left the numbers."""


def error_from_dict(raw: dict[str, Any]) -> BraidError:
    """Rebuilds an error that crossed a process boundary with `BraidError.to_dict`.

    Where the module of its class is not loaded, it is a plain `BraidError`.
    """
    return _copied(next((k for k in _kinds() if k.__name__ == raw["type"]), BraidError), raw)


def _copied(kind: type[BraidError], raw: dict[str, Any]) -> BraidError:
    # Not by its constructor: a class may take other arguments, and has the same fields.
    error = kind.__new__(kind)
    fields = {name: raw[name] for name in ("place", "expected", "received", "action")}
    BraidError.__init__(error, **fields)
    return error


def _kinds(kind: type[BraidError] = BraidError) -> Iterator[type[BraidError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


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
