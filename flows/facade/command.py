"""A command of Braid in a process of its own: a notebook keeps its imports, settings and memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from typing import IO, Any

from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.process.own_packages import python_m


def braid(*arguments: str) -> dict[str, Any]:
    """Runs `braid ARGUMENTS --json` to its end and returns its result.

    What it says on the way goes to `sys.stdout`, line by line. An interrupt ends it in order, as
    Ctrl-C does at a terminal, and it ends with this process.

    Raises:
        BraidError: It failed.
        KeyboardInterrupt: It was interrupted, here.
    """
    with _start(arguments) as process:
        answer: list[str] = []
        listening = threading.Thread(target=_read, args=(process.stdout, answer), daemon=True)
        listening.start()
        try:
            for line in process.stderr or ():
                sys.stdout.write(line)
                sys.stdout.flush()
            process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        listening.join()
    lines = "".join(answer).splitlines()
    told = json.loads(lines[-1]) if lines else {}
    if "result" in told:
        result: dict[str, Any] = told["result"]
        return result
    raise _failed(arguments[0], process.returncode, told.get("error", {}))


def _start(arguments: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        python_m("transforms.contract.process.lifeline", "braid", *arguments, "--json"),
        stdin=subprocess.PIPE,  # held open: the command ends when this process is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,  # an interrupt reaches it by this process only
        encoding="utf-8",
        errors="replace",
    )


def _read(stream: IO[str], answer: list[str]) -> None:
    answer.append(stream.read())


def _failed(command: str, code: int, error: dict[str, Any]) -> BraidError:
    kind = DeclarationError if code == DeclarationError.exit_code else BraidError
    return kind(
        error.get("place", f"braid {command}"),
        expected=error.get("expected", "to end with a result"),
        received=error.get("received", f"code {code}"),
        action=error.get("action", "Read what it said; the same call goes on where it stopped."),
    )
