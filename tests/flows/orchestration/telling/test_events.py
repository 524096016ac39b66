from __future__ import annotations

from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Failed

from flows.console.failures import Terminated
from flows.orchestration.handover import Opened, handing_over
from flows.orchestration.telling.events import emit, emit_failure, emit_refusal
from flows.process.child import StepStopped
from flows.records.record import GateRecord, RunRecord
from tests.flows.records.test_record import OLDER
from tests.support.runs import flats
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError

PROBLEM = ErrorReport(
    type="", place="data", expected="rows", received="none of <!here> & \x1b[31m", action="Look."
)


@pytest.fixture
def emitted(monkeypatch):
    """Returns the events that were emitted since, once all are handed over."""
    address = "http://127.0.0.1:9/api"
    monkeypatch.setenv("PREFECT_API_URL", address)
    AssertingEventsClient.reset()
    EventsWorker.set_client_override(AssertingEventsClient)

    def events():
        EventsWorker.instance().drain()
        return [event for client in AssertingEventsClient.all for event in client.events]

    with temporary_settings({PREFECT_API_URL: address}):
        yield events
    EventsWorker.set_client_override(None)


@flow
def braid():
    pass


def _fail(error: BaseException) -> None:
    emit_failure(braid, FlowRun(id=uuid4(), flow_id=uuid4()), Failed(data=error))


def _flats():
    return flats()


def test_an_event_has_place_expected_received_and_what_is_to_do(emitted):
    emit("braid.day.drifted", "flats", PROBLEM)
    (event,) = emitted()
    assert event.event == "braid.day.drifted"
    assert event.resource.id == "braid.pipeline.flats"
    assert event.payload == {
        "event": "braid.day.drifted",
        "pipeline": "flats",
        "place": "data",
        "expected": "rows",
        "received": "none of <!here> & \\x1b[31m",
        "to_do": "Look.",
        "text": "flats: a day has drifted. data: expected rows, "
        "received none of &lt;!here&gt; &amp; \\x1b[31m. Look.",
    }


def test_without_a_server_of_the_users_there_is_no_event(emitted, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL")
    emit("braid.run.failed", "flats", PROBLEM)
    assert emitted() == []


def test_a_refused_run_tells_the_gates_reasons_and_a_promoted_one_nothing(emitted):
    record = RunRecord.model_validate(OLDER | {"status": "refused", "error": None})
    record.gate = GateRecord(passed=False, reasons=("test_sold_auc 0.6 is below 0.7.",))
    emit_refusal(record)
    emit_refusal(record.model_copy(update={"status": "promoted"}))
    (event,) = emitted()
    assert event.event == "braid.run.refused"
    assert event.payload["received"] == "test_sold_auc 0.6 is below 0.7."
    assert event.payload["run"] == record.run_id


def test_a_failed_flow_run_tells_its_error_and_a_bug_that_it_is_one(emitted):
    with handing_over(Opened(_flats())):
        _fail(BraidError("data", expected="rows", received="none", action="Look."))
        _fail(ValueError("math"))
    told = [[e.payload[part] for part in ("pipeline", "place", "received")] for e in emitted()]
    assert told == [["flats", "data", "none"], ["flats", "a step of the run", "math"]]


@pytest.mark.parametrize("stop", [StepStopped("train"), Terminated(), KeyboardInterrupt()])
def test_a_flow_run_that_was_stopped_has_not_failed(emitted, stop):
    _fail(stop)
    assert emitted() == []
