"""The command line's answer to an error: one readable message, no traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from flows.console.output import OUTPUT
from transforms.contract.errors import BraidError, storage_error

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
TERMINATED = 143  # and for one that SIGTERM ended
_AGAIN_SECONDS = 0.05
_STOPS = {INTERRUPTED: "Ctrl-C", TERMINATED: "SIGTERM"}

_sigterm = threading.Event()  # was received: C code may swallow what its handler raises


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does: in order, and to be resumed."""


def end_in_order_on_signals() -> None:
    """Lets SIGTERM raise `Terminated` in this process's main thread, and no signal get lost."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _stop_again


def _stop_again(lost: sys.UnraisableHookArgs) -> None:
    """Sends a signal anew that came while Python ran what lets no error through.

    Such are a destructor and a callback of C: without this the process would go on as if nobody
    had asked it to end, and SIGTERM would find it deaf.
    """
    if not _is_stop(lost.exc_value):
        sys.__unraisablehook__(lost)
        return
    is_sigterm = _sigterm.is_set() or not isinstance(lost.exc_value, KeyboardInterrupt)
    number = signal.SIGTERM if is_sigterm else signal.SIGINT
    if signal.getsignal(signal.SIGTERM) == signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _terminate)
    again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _is_stop(error: BaseException | None) -> bool:
    # By its name: importing Prefect to tell how a command ended would take seconds.
    return isinstance(error, KeyboardInterrupt) or type(error).__name__ == "TerminationSignal"


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    _sigterm.set()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut the ending short
    raise Terminated


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
        if _sigterm.is_set():
            _stopped(TERMINATED)
        _show(error)
        OUTPUT.end(error.exit_code, error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os._exit(1)  # whoever read our output went away, as `| head` does
    except OSError as error:
        if debug:
            raise
        if _sigterm.is_set():
            _stopped(TERMINATED)
        lost = storage_error(error, command)
        _show(lost)
        OUTPUT.end(1, lost)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        OUTPUT.end(error.exit_code, error.format_message())
        sys.exit(error.exit_code)
    except BaseException as error:
        code = _stop_code(error)
        if debug or code is None:
            raise
        _stopped(code)


def _stopped(code: int) -> NoReturn:
    click.echo("Stopped. Running the same command again resumes.", err=True)
    OUTPUT.end(code, _STOPS[code])
    sys.exit(code)


def stop_of(error: BaseException) -> str | None:
    """Returns which signal an error comes from, by the name that people know, or None."""
    code = _stop_code(error)
    return None if code is None else _STOPS[code]


def _stop_code(error: BaseException) -> int | None:
    """Returns the exit code if a signal is what this error comes from, or what came before it."""
    if _sigterm.is_set() and not isinstance(error, SystemExit):
        return TERMINATED
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    stops = [e for e in chain if _is_stop(e)]
    if any(type(e) is not KeyboardInterrupt for e in stops):  # Ctrl-C is that and nothing more
        return TERMINATED
    return INTERRUPTED if stops or any(isinstance(e, click.Abort) for e in chain) else None


def _show(error: BraidError) -> None:
    from rich.console import Console  # here, as most commands end well

    from flows.console.harmless import console as harmless

    console = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
    console.print(f"[bold red]Error[/bold red] {harmless(error.place, lines=True)}")
    for label, text in (
        ("expected", error.expected),
        ("received", error.received.rstrip()),
        ("to do", error.action),
    ):
        console.print(f"  [dim]{label:<9}[/dim] {harmless(text, lines=True)}")
