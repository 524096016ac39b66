"""The events by which a step in a child process tells the flow where it is.

The flow gives the child a pipe in `BRAID_EVENTS_FD`. Every event is one line of JSON. Without the
variable (a test, a remote worker) events go nowhere.
"""

from __future__ import annotations

import os
import threading
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from transforms.contract.error_report import ErrorReport

EVENTS_VARIABLE = "BRAID_EVENTS_FD"
_lock = threading.Lock()


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Progress(_Event):
    """The place that a step has reached.

    Attributes:
        done: Units done so far.
        total: Units in all; 0 is not known.
        unit: What is counted, in the plural: "rows", "steps".
        numbers: Figures to show beside the progress, such as the loss.
    """

    event: Literal["progress"] = "progress"
    done: int
    total: int
    unit: str
    numbers: dict[str, float] = {}


class Failed(_Event):
    """The end of a step by an error for the user."""

    event: Literal["error"] = "error"
    error: ErrorReport


class Returned(_Event):
    """The end of a step by its result.

    Attributes:
        result: As JSON of the type that the step names.
        peak_bytes: Resident memory of the step's largest process, in bytes.
    """

    event: Literal["result"] = "result"
    result: str
    peak_bytes: int = 0


Event = Progress | Failed | Returned
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def emit(event: Event) -> None:
    """Writes one event to the flow."""
    descriptor = os.environ.get(EVENTS_VARIABLE)
    if descriptor is None:
        return
    line = event.model_dump_json().encode() + b"\n"
    with _lock:
        while line:
            line = line[os.write(int(descriptor), line) :]


def report(done: int, total: int, *, unit: str, **numbers: float) -> None:
    """Tells how much of a step is done; the arguments are those of `Progress`."""
    emit(Progress(done=done, total=total, unit=unit, numbers=numbers))
