"""A failure as it crosses processes, and as records keep it."""

from __future__ import annotations

from collections.abc import Iterator
from operator import not_
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from transforms.contract.errors import BraidError, copied
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

    @classmethod
    def of(cls, error: BraidError) -> ErrorReport:
        """Returns what raises an error in another process, and what records keep of it."""
        return cls(
            type=type(error).__name__,
            place=error.place,
            expected=error.expected,
            received=error.received,
            action=error.action,
        )

    def error(self) -> BraidError:
        """Returns the error, to be raised in this process.

        Where the module of its class is not loaded, it is a plain `BraidError`.
        """
        kind = next((k for k in _kinds() if k.__name__ == self.type), BraidError)
        return copied(kind, self.place, self.expected, self.received, self.action)

    def headline(self) -> str:
        """Returns where it is wrong and what is there, in one line."""
        return f"{self.place or self.type}: {self.received}".splitlines()[0]


def report_of(error: Exception, place: str) -> ErrorReport:
    """Returns what is told of any error; one that is not for the user is a bug.

    Args:
        error: What was raised.
        place: Where the bug showed, if it is one.
    """
    if isinstance(error, BraidError):
        return ErrorReport.of(error)
    return ErrorReport(
        type=type(error).__name__,
        place=place,
        expected="a step without a bug",
        received=masked(str(error)) or type(error).__name__,
        action="Run again with BRAID_DEBUG=1 and report what it shows.",
    )


def _kinds(kind: type[BraidError] = BraidError) -> Iterator[type[BraidError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
