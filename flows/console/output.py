"""The output of a command: sentences for people, one JSON object for programs.

The options that choose it are every command's (`flows/commands/options.py`). They are of the whole
process, as steps of a run tell about themselves from threads of their own.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from transforms.contract.masking import masked

if TYPE_CHECKING:
    from transforms.contract.errors import BraidError


@dataclass
class Output:
    """The form and the content of a command's output.

    Attributes:
        verbose: Also what is of interest when something is slow or fails.
        quiet: Only what was asked for, and errors: no progress.
        json: One JSON object on the standard output at the end; sentences go to the standard error.
        command: The command's name, such as "run".
        result: What that object has as the command's result.
    """

    verbose: bool = False
    quiet: bool = False
    json: bool = False
    command: str = ""
    result: Any = None

    def begin(self) -> None:
        """Forgets what an earlier command of this process gave."""
        self.result = None

    def end(self, exit_code: int, error: BraidError | str | None = None) -> None:
        """Writes the JSON object, if it is asked for.

        Args:
            exit_code: What the process is going to end with.
            error: What went wrong, or in a few words what ended the command.
        """
        if not self.json:
            return
        from pydantic_core import to_jsonable_python  # slow to load, and few ask for it

        told: dict[str, Any] = {"command": self.command, "exit_code": exit_code}
        if isinstance(error, str):
            told["error"] = {"received": error}
        elif error is not None:
            from transforms.contract.error_report import ErrorReport

            told["error"] = to_jsonable_python(ErrorReport.of(error))
        else:
            told["result"] = to_jsonable_python(self.result)
        click.echo(json.dumps(_told(told), allow_nan=False))


OUTPUT = Output()


def give(result: Any) -> None:
    """Sets what `--json` has as the command's result.

    Args:
        result: Models, dataclasses, dicts, lists and what else has a form in JSON.
    """
    OUTPUT.result = result


def _told(value: Any) -> Any:
    """Returns what JSON holds without secrets, like all that is shown.

    A number that is none, which JSON has no word for, is null.
    """
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_told(item) for item in value]
    if isinstance(value, dict):
        return {_told(key): _told(item) for key, item in value.items()}
    return value
