"""Failures that a user can act on. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from operator import not_
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from transforms.contract.masking import masked

# Of an error that is not for the user, only type and message are known.
_Part = Annotated[str, Field(exclude_if=not_)]


class ErrorReport(BaseModel):
    """An error as it crosses processes and as records keep it.

    Attributes:
        type: The name of its class.
        place: Where it is wrong; "" of an error that is no `BraidError`.
        expected: What would have been right there.
        received: What is there instead, or the error's message.
        action: What to do next.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    place: _Part = ""
    expected: _Part = ""
    received: str = ""
    action: _Part = ""

    def error(self) -> BraidError:
        """Returns the error, to be raised in this process.

        Where the module of its class is not loaded, it is a plain `BraidError`.
        """
        return _copied(next((k for k in _kinds() if k.__name__ == self.type), BraidError), self)

    def headline(self) -> str:
        """Returns where it is wrong and what is there, in one line."""
        return f"{self.place or self.type}: {self.received}".splitlines()[0]


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
        return _copied, (type(self), self.report()), vars(self).copy()

    def report(self) -> ErrorReport:
        """Returns what raises this error in another process, and what records keep of it."""
        return ErrorReport(
            type=type(self).__name__,
            place=self.place,
            expected=self.expected,
            received=self.received,
            action=self.action,
        )


class DeclarationError(BraidError):
    """The declaration or the command is wrong; nothing was run."""

    exit_code = 2


class Diverged(BraidError):  # noqa: N818 - it names what happened
    """The loss of a training has left the numbers."""


def _shown(text: str) -> str:
    return masked(text).encode(errors="backslashreplace").decode()


def _copied(kind: type[BraidError], report: ErrorReport) -> BraidError:
    # Not by its constructor: a class may take other arguments, and has the same fields.
    error = kind.__new__(kind)
    BraidError.__init__(
        error,
        report.place,
        expected=report.expected,
        received=report.received,
        action=report.action,
    )
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
