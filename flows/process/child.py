"""Runs one heavy step in a process of its own, so that its crash does not take the flow with it.

The flow itself imports neither Beam nor TensorFlow: a step is `python -m transforms analyze
JOB.json` and the like. What comes back is events on a pipe
(`transforms.contract.process.events`); what the step's libraries print goes to its log.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from pydantic import BaseModel

from flows.process.memory_kills import cause_of_kill, memory_kills, remedy
from transforms.contract.errors import BraidError
from transforms.contract.process.events import (
    EVENTS,
    EVENTS_VARIABLE,
    Event,
    Failed,
    Progress,
    Returned,
)
from transforms.contract.spec import Spec
from transforms.contract.steps.step import Step

_POLL_SECONDS = 0.5
_TERMINATION_SECONDS = 10.0  # a step that has not ended after this long is killed
_LOG_TAIL_LINES = 12
_LOG_LINE_WIDTH = 200  # whole batches may stand in one line
_LOG_TAIL_BYTES = 16 * 1024
_CHUNK = 64 * 1024


_J = TypeVar("_J", bound=Spec)
_R = TypeVar("_R", bound=BaseModel)
_Result = TypeVar("_Result", bound=BaseModel, covariant=True)


@dataclass(frozen=True)
class Done(Generic[_Result]):
    """A step that has ended well.

    Attributes:
        result: What it returned.
        peak_bytes: Resident memory of its largest process, in bytes; 0 is not known.
    """

    result: _Result
    peak_bytes: int = 0


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
    step: Step[_J, _R],
    job: Path,
    *,
    log: Path,
    on_progress: Callable[[Progress], None],
    inherit: Sequence[int] = (),
    search_path: Path | None = None,
    stopping: threading.Event | None = None,
) -> Done[_R]:
    """Runs `python -m MODULE STEP JOB` to its end and returns its result.

    Args:
        step: The step.
        job: The file with its job.
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
    refuse_stopped(stopping, step.name)
    end: Failed | Returned | None = None
    kills = memory_kills()
    arguments = [step.module, step.name, str(job)]
    with _child(arguments, log, inherit, search_path) as (process, events):
        for event in _events(events, process):
            refuse_stopped(stopping, step.name)
            if isinstance(event, Progress):
                on_progress(event)
            elif event is not None:
                end = event
        process.wait()
    if isinstance(end, Failed):
        raise end.error.error()
    if process.returncode != 0 or end is None:
        raise _died(step.module, step.name, process.returncode, log, kills)
    return Done(step.result.model_validate_json(end.result), end.peak_bytes)


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


def _start(
    arguments: Sequence[str],
    events: int,
    output: IO[bytes],
    inherit: Sequence[int],
    search_path: Path | None,
) -> subprocess.Popen[bytes]:
    # -P: a user's folder named "trainer" beside the declaration must not be taken for ours.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", *arguments],
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


def _events(pipe: IO[bytes], process: subprocess.Popen[bytes]) -> Iterator[Event | None]:
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
            yield EVENTS.validate_json(line)


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
