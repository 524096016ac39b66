"""The events by which a step in a child process tells the flow where it is.

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


def report(done: int, total: int, *, unit: str, **numbers: float) -> None:
    """Tells how much of a step is done.

    Args:
        done: Units done so far.
        total: Units in all.
        unit: What is counted, in the plural: "rows", "steps".
        **numbers: Figures to show beside the progress, such as the loss.
    """
    emit("progress", done=done, total=total, unit=unit, numbers=numbers)
