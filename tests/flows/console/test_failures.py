from __future__ import annotations

import signal
import subprocess
import sys
import threading

import click
import pytest

from flows.console import failures
from flows.console.failures import Terminated, readable_failures
from transforms.contract.errors import BraidError, DeclarationError


class TerminationSignal(BaseException):
    pass


def _code(error: BaseException) -> int:
    with pytest.raises(SystemExit) as caught, readable_failures("braid"):
        raise error
    return int(caught.value.code)


def _after(first: BaseException) -> BaseException:
    """Returns the lost connection that follows a signal which ended Prefect's server too."""
    try:
        try:
            raise first
        except BaseException:
            raise ConnectionError("connection refused")  # noqa: B904 - as a library would
    except ConnectionError as second:
        wrapped = RuntimeError("no state")
        wrapped.__cause__ = second
        return wrapped


@pytest.mark.parametrize(("kind", "code"), [(BraidError, 1), (DeclarationError, 2)])
def test_an_error_is_one_message_with_all_its_parts(capsys, kind, code):
    error = kind("features.x", expected="[a] list", received="b", action="Do c.")
    assert _code(error) == code
    shown = capsys.readouterr().err
    for part in ("features.x", "[a] list", "received  b", "Do c."):
        assert part in shown


def test_a_file_error_says_what_to_do(capsys):
    assert _code(OSError(28, "No space left on device", "/data/x")) == 1
    assert "Free some space" in capsys.readouterr().err


def test_a_wrong_command_keeps_clicks_code():
    assert _code(click.UsageError("no such option")) == 2


@pytest.mark.parametrize(
    ("stop", "code"),
    [(KeyboardInterrupt(), 130), (Terminated(), 143), (TerminationSignal(), 143)],
)
def test_a_signal_is_one_line_whatever_follows_from_it(capsys, stop, code):
    assert _code(stop) == code
    assert _code(_after(stop)) == code
    assert capsys.readouterr().err == "Stopped. Running the same command again resumes.\n" * 2


@pytest.mark.parametrize(
    "error",
    [BraidError("x", expected="a", received="b", action="c"), OSError(5, "no"), TypeError("no")],
)
def test_sigterm_is_one_line_though_a_library_swallowed_it(capsys, monkeypatch, error):
    monkeypatch.setattr(failures, "_sigterm", threading.Event())
    before = signal.getsignal(signal.SIGTERM)
    failures.end_in_order_on_signals()
    try:
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        assert _code(error) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "Stopped. Running the same command again resumes.\n"


_DEAF = """
import os, signal, time
from flows.console.failures import end_in_order_on_signals, readable_failures

class Held:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        time.sleep(0)  # Python takes the signal here, and drops what its handler raises

end_in_order_on_signals()
with readable_failures("braid"):
    Held()
    time.sleep(30)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_that_comes_while_an_object_is_freed_is_not_lost(name, code):
    script = [sys.executable, "-c", _DEAF.format(name=name)]
    ended = subprocess.run(
        script,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
        # A shell's background command has Ctrl-C ignored, and gives that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (ended.returncode, ended.stderr) == (
        code,
        "Stopped. Running the same command again resumes.\n",
    )


def test_another_error_of_an_object_that_is_freed_does_not_cut_the_ending_short():
    ended = subprocess.run(
        [sys.executable, "-c", _ENDING], capture_output=True, text=True, timeout=25, check=False
    )
    assert (ended.returncode, ended.stdout) == (143, "ended in order\n")


_ENDING = """
import os, signal, time
from flows.console.failures import end_in_order_on_signals, readable_failures

class Broken:
    def __del__(self):
        raise ValueError

end_in_order_on_signals()
with readable_failures("braid"):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    finally:
        Broken()
        time.sleep(0.5)
        print("ended in order")
"""


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), readable_failures("braid"):
        raise ZeroDivisionError


def test_debug_keeps_every_traceback(monkeypatch):
    monkeypatch.setenv("BRAID_DEBUG", "1")
    with pytest.raises(BraidError), readable_failures("braid"):
        raise BraidError("x", expected="a", received="b", action="c")
