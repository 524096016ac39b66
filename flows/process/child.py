"""Runs one heavy step in a process of its own, so that its crash does not take the flow with it.

The flow itself imports neither Beam nor TensorFlow: a step is `python -m transforms analyze
JOB.json` and the like. What comes back is events on a pipe
(`transforms.contract.process.events`); what the step's libraries print goes to its log.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel

from flows.process.memory_kills import cause_of_kill, memory_kills, remedy
from transforms.contract.errors import BraidError, error_from_dict
from transforms.contract.process.events import EVENTS_VARIABLE
from transforms.contract.process.own_packages import python_m

_POLL_SECONDS = 0.5
_TERMINATION_SECONDS = 10.0  # a step that has not ended after this long is killed
_LOG_TAIL_LINES = 12
_LOG_LINE_WIDTH = 200  # whole batches may stand in one line
_LOG_TAIL_BYTES = 16 * 1024
_CHUNK = 64 * 1024


class Progress(BaseModel):
    """How far a step is.

    Attributes:
        done: Units that are done.
        total: Units in all; 0 is not known.
        unit: What is counted, in the plural.
        numbers: Figures beside it, such as the loss.
        milestone: Whether it is worth a line of its own in a log.
        doing: What the step does before it has anything to count; "" once it counts.
    """

    done: int
    total: int
    unit: str
    numbers: dict[str, float] = {}
    milestone: bool = False
    doing: str = ""


class StepDied(BraidError):  # noqa: N818 - it names what happened, as BraidError's other kinds do
    """A step's process ended without telling why: killed, out of memory, or a crash.

    Unlike other errors of a step, the same attempt may well succeed the next time.
    """


class StepStopped(BraidError):  # noqa: N818 - it names what happened, as BraidError's others do
    """A step was ended because all that it is part of ends, by a failure elsewhere or by Ctrl-C.

    Args:
        place: The step.
    """

    def __init__(self, place: str) -> None:
        super().__init__(
            place,
            expected="to go on",
            received="a stop",
            action="Run the same command again: finished work is kept.",
        )


def refuse_stopped(stopping: threading.Event, place: str) -> None:
    """Raises `StepStopped` if all that a step is part of ends."""
    if stopping.is_set():
        raise StepStopped(place)


def run_child(
    module: str,
    step: str,
    job: Path,
    *,
    log: Path,
    on_progress: Callable[[Progress], None],
    inherit: Sequence[int] = (),
    search_path: Path | None = None,
    stopping: threading.Event | None = None,
) -> dict[str, Any]:
    """Runs `python -m MODULE STEP JOB` to its end and returns its result.

    Args:
        module: "transforms" or "trainer".
        step: The step's name in the module's table of steps.
        job: The file with the step's job.
        log: Where the step's own output is appended.
        on_progress: Called for every progress event.
        inherit: Descriptors of held locks. The child holds them too, so that a child which
            outlives a killed flow by a moment still keeps other runs out.
        search_path: A folder whose modules the step may import, for a user's own functions.
        stopping: Set by another thread, it ends the step.

    Raises:
        BraidError: The step reported an error that the user can act on.
        StepStopped: `stopping` was set.
        StepDied: The process ended without a result.
    """
    stopping = stopping or threading.Event()
    refuse_stopped(stopping, step)
    outcome: dict[str, Any] = {}
    kills = memory_kills()
    with _child([module, step, str(job)], log, inherit, search_path) as (process, events):
        for event in _events(events, process):
            refuse_stopped(stopping, step)
            outcome = _told(event, on_progress) or outcome
        process.wait()
    if "error" in outcome:
        raise error_from_dict(outcome["error"])
    if process.returncode != 0 or "result" not in outcome:
        raise _died(module, step, process.returncode, log, kills)
    result: dict[str, Any] = outcome["result"]
    return result


@contextlib.contextmanager
def _child(
    arguments: Sequence[str], log: Path, inherit: Sequence[int], search_path: Path | None
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Yields the process of a step and the pipe of its events; it ends with the block."""
    log.parent.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    with log.open("ab") as output, os.fdopen(reading, "rb", buffering=0) as events:
        try:
            process = _start(arguments, writing, output, inherit, search_path)
        finally:
            os.close(writing)
        try:
            yield process, events
        finally:
            _stop(process)


def _told(
    event: dict[str, Any] | None, on_progress: Callable[[Progress], None]
) -> dict[str, Any] | None:
    """Passes progress on; returns what tells how the step ended, its result or its error."""
    if event is None or event["event"] != "progress":
        return event
    on_progress(Progress.model_validate(event))
    return None


def _start(
    arguments: Sequence[str],
    events: int,
    output: IO[bytes],
    inherit: Sequence[int],
    search_path: Path | None,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        python_m(*arguments),
        stdin=subprocess.PIPE,  # held open: the step ends itself when this process is gone
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=(events, *inherit),
        env=_environment(os.environ, events, search_path),
        process_group=0,  # Ctrl-C reaches the flow only, which then ends the step in order
    )


def _environment(base: Mapping[str, str], events: int, search_path: Path | None) -> dict[str, str]:
    variables = {**base, EVENTS_VARIABLE: str(events)}
    if search_path is not None:
        before = [base["PYTHONPATH"]] if base.get("PYTHONPATH") else []
        variables["PYTHONPATH"] = os.pathsep.join([*before, str(search_path)])
    return variables


def _events(pipe: IO[bytes], process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
    """Yields events until the pipe closes, and None now and then while there is none.

    It may outlive the step in the hands of a worker that the step left behind, so an ended step
    also ends the events, once nothing more is to be read.
    """
    pending = b""
    while True:
        readable, _, _ = select.select([pipe], [], [], _POLL_SECONDS)
        if not readable:
            if process.poll() is not None:
                return
            yield None
            continue
        chunk = pipe.read(_CHUNK)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the step if it still runs, because of Ctrl-C or an error on this side."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_TERMINATION_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _died(module: str, step: str, code: int, log: Path, kills: Mapping[str, int]) -> StepDied:
    """Returns the error that says how a process ended; `kills` are those for memory before it."""
    advice = ""
    if code < 0:
        received = f"the process was killed by signal {-code} ({_signal_name(-code)})"
        if -code == signal.SIGKILL:
            received += cause_of_kill(kills, memory_kills())
            advice = f" {remedy(module)}"
    else:
        received = f"the process ended with code {code} and no result"
    tail = _tail(log)
    return StepDied(
        step,
        expected="the step to end with a result",
        received=received,
        action=f"Its log is {log}"
        + (f"; the last lines are:\n{tail}\n" if tail else ". ")
        + f"Running the same command again resumes where it stopped.{advice}",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _tail(log: Path) -> str:
    """Returns the log's last lines, indented."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        text = file.read().decode(errors="replace")
    lines = text.splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join(f"    {line[:_LOG_LINE_WIDTH]}" for line in lines)
