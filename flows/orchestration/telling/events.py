"""Events on the user's Prefect server: a run that failed or was refused, a day that has drifted.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Literal

from prefect.client.schemas.objects import FlowRun, State
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.flows import Flow
from prefect.runtime import deployment
from prefect.utilities.urls import url_for

from flows.console.failures import stop_of
from flows.console.harmless import chat, plain
from flows.orchestration.handover import name_at_first
from flows.process.child import StepStopped
from flows.records.record import RunRecord
from transforms.contract.error_report import ErrorReport, report_of

EventName = Literal["braid.run.failed", "braid.run.refused", "braid.day.drifted"]
_WHAT: dict[EventName, str] = {
    "braid.run.failed": "a run failed",
    "braid.run.refused": "the gate refused a model",
    "braid.day.drifted": "a day has drifted",
}
_SENDING_SECONDS = 10.0
_LONGEST = 2_000  # characters of a part: the end of a log may be in it


def emit(event: EventName, pipeline: str, problem: ErrorReport, **more: str) -> None:
    """Emits an event, unless the user has no server.

    Args:
        event: What happened.
        pipeline: The pipeline's name.
        problem: Its place, what was expected there, what was received and what is to do.
        more: What else the payload has.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return
    parts = {
        "place": problem.place,
        "expected": problem.expected,
        "received": problem.received,
        "to_do": problem.action,
    }
    parts = {name: plain(text, lines=True)[:_LONGEST] for name, text in parts.items()}
    sentence = (
        f"{pipeline}: {_WHAT[event]}. {parts['place']}: expected {parts['expected']}, "
        f"received {parts['received']}. {parts['to_do']}"
    )
    emit_event(
        event,
        {"prefect.resource.id": f"braid.pipeline.{pipeline}", "prefect.resource.name": pipeline},
        payload={"event": event, "pipeline": pipeline, **parts, **more, "text": chat(sentence)},
    )
    # A process that ends with events on their way says so on the terminal, and one whose server is
    # lost would wait for ever.
    waiting = threading.Thread(target=EventsWorker.instance().wait_until_empty, daemon=True)
    waiting.start()
    waiting.join(_SENDING_SECONDS)


def emit_refusal(record: RunRecord) -> None:
    """Emits the event of a run whose model the gate refused, and no other."""
    if record.status != "refused" or record.gate is None:
        return
    problem = ErrorReport(
        type="refused",
        place="gate",
        expected="a model that passes it",
        received=" ".join(record.gate.reasons),
        action="The champion stays; the report of the run says where the new model is worse.",
    )
    emit("braid.run.refused", record.pipeline, problem, run=record.run_id)


def emit_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Emits the event of a flow run that failed; one that was stopped has not.

    Prefect calls it in the flow's process.
    """
    del flow
    error = state.result(raise_on_failure=False)
    stopped = isinstance(error, StepStopped)
    if stopped or not isinstance(error, Exception) or stop_of(error) is not None:
        return
    page = url_for("flow-run", obj_id=flow_run.id) or ""
    problem = report_of(error, "a step of the run")
    emit("braid.run.failed", name_at_first(deployment.name), problem, flow_run=page)
