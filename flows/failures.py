"""What the command line says when something is wrong: one readable message, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from transforms.contract.errors import BraidError, storage_error

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
TERMINATED = 143  # and for one that SIGTERM ended


@contextmanager
def readable_failures(command: str) -> Iterator[None]:
    """Ends the process with the right code and one message if the block fails.

    With `BRAID_DEBUG=1` every error keeps its traceback. A bug always does.
    """
    debug = bool(os.environ.get("BRAID_DEBUG"))
    try:
        yield
    except BraidError as error:
        if debug:
            raise
        _show(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os._exit(1)  # whoever read our output went away, as `| head` does
    except OSError as error:
        if debug:
            raise
        _show(storage_error(error, command))
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BaseException as error:
        code = _stop_code(error)
        if debug or code is None:
            raise
        click.echo("Stopped. Running the same command again resumes.", err=True)
        sys.exit(code)


def _stop_code(error: BaseException) -> int | None:
    """Returns the exit code if a signal is what this error comes from.

    A signal that reaches Prefect's server too is told as the lost connection that follows it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (KeyboardInterrupt, click.Abort)):
            return INTERRUPTED
        # By its name: importing Prefect to tell how a command ended would take seconds.
        if type(cause).__name__ == "TerminationSignal":
            return TERMINATED
        cause = cause.__cause__ or cause.__context__
    return None


def _show(error: BraidError) -> None:
    from rich.console import Console  # here, as most commands end well
    from rich.markup import escape

    console = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
    console.print(f"[bold red]Error[/bold red] {escape(error.place)}")
    for label, text in (
        ("expected", error.expected),
        ("received", error.received.rstrip()),
        ("to do", error.action),
    ):
        console.print(f"  [dim]{label:<9}[/dim] {escape(text)}")
