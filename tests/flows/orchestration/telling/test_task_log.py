from __future__ import annotations

import logging
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.logging.handlers import set_api_log_sink
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.orchestration.telling.task_log import TaskLog


@pytest.fixture
def sent():
    """The lines that the server is sent."""
    lines = []
    logging.disable(logging.NOTSET)  # which another test's process-wide choice may have been
    set_api_log_sink(lines.append)
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}):
        yield lines
    set_api_log_sink(None)


def test_a_line_goes_to_the_run_that_is_under_way_and_not_to_the_terminal(sent, capfd):
    run = FlowRun(id=uuid4(), flow_id=uuid4())
    with FlowRunContext.model_construct(flow_run=run):
        TaskLog().write("transform: 2,000 rows %d")
        TaskLog().write("day=1: a file\x1b[31m is cut", failed=True)
    assert [(line["level"], line["message"]) for line in sent] == [
        (20, "transform: 2,000 rows %d"),
        (40, "day=1: a file\\x1b[31m is cut"),
    ]
    assert {line["flow_run_id"] for line in sent} == {str(run.id)}
    assert capfd.readouterr() == ("", "")


def test_without_a_run_nothing_is_sent_and_nobody_is_warned(sent, recwarn):
    TaskLog().write("transform: 2,000 rows")
    assert sent == []
    assert not recwarn.list
