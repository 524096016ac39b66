"""A command of Braid in a process of its own: a notebook keeps its imports, settings and memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import IO, Any

from transforms.contract.errors import BraidError, error_from_dict
from transforms.contract.process.events import EVENTS_VARIABLE
from transforms.contract.process.own_packages import python_m


def braid(*arguments: str) -> dict[str, Any]:
    """Runs `braid ARGUMENTS` and returns the result that it tells, once it has ended.

    What it prints goes to `sys.stdout` line by line. An interrupt ends it in order, as Ctrl-C does
    at a terminal, and it ends with this process.

    Raises:
        BraidError: It failed.
        KeyboardInterrupt: It was interrupted, here.
    """
    reading, writing = os.pipe()
    with os.fdopen(reading) as events, _start(arguments, writing) as process:
        told: dict[str, dict[str, Any]] = {}
        listening = threading.Thread(target=_listen, args=(events, told), daemon=True)
        listening.start()
        try:
            for line in process.stdout or ():
                sys.stdout.write(line)
                sys.stdout.flush()
            process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        listening.join()
    if "error" in told:
        raise error_from_dict(told["error"]["error"])
    if "result" in told:
        result: dict[str, Any] = told["result"]["result"]
        return result
    raise BraidError(
        f"braid {arguments[0]}",
        expected="to end with a result",
        received=f"code {process.returncode}",
        action="Read what it printed; the same call again goes on where it stopped.",
    )


def _start(arguments: tuple[str, ...], writing: int) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            python_m("transforms.contract.process.lifeline", "braid", *arguments),
            stdin=subprocess.PIPE,  # held open: the command ends when this process is gone
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            env={**os.environ, EVENTS_VARIABLE: str(writing)},
            process_group=0,  # an interrupt reaches it by this process only
            encoding="utf-8",
            errors="replace",
        )
    finally:
        os.close(writing)


def _listen(events: IO[str], told: dict[str, dict[str, Any]]) -> None:
    """Keeps the last event of each name."""
    for line in events:
        event = json.loads(line)
        told[event["event"]] = event
