"""How a step that runs in a child process tells the flow where it is.

The flow gives the child a pipe in `BRAID_EVENTS_FD`. Every event is one line of JSON. Without the
variable (a test, a remote worker) events go nowhere.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

EVENTS_VARIABLE = "BRAID_EVENTS_FD"
_lock = threading.Lock()


def emit(event: str, **fields: Any) -> None:
    """Writes one event to the flow."""
    descriptor = os.environ.get(EVENTS_VARIABLE)
    if descriptor is None:
        return
    line = json.dumps({"event": event, **fields}).encode() + b"\n"
    with _lock:
        while line:
            line = line[os.write(int(descriptor), line) :]


def is_heard() -> bool:
    """Returns whether a flow reads the events of this process."""
    return EVENTS_VARIABLE in os.environ


def report_doing(what: str) -> None:
    """Tells what a step does before it has anything to count, such as "loading TensorFlow"."""
    emit("progress", done=0, total=0, unit="", doing=what)


def report(done: int, total: int, *, unit: str, milestone: bool = False, **numbers: float) -> None:
    """Tells how much of a step is done.

    Args:
        done: Units done so far.
        total: Units in all.
        unit: What is counted, in the plural: "rows", "steps".
        milestone: Whether it is worth a line of its own in a log, such as the end of an epoch.
        **numbers: Figures to show beside the progress, such as the loss.
    """
    emit("progress", done=done, total=total, unit=unit, milestone=milestone, numbers=numbers)
