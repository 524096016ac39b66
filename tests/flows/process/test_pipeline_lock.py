"""A server's flow run waits its turn, as a command does not."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from flows.console.progress import Reporter
from flows.orchestration.restarts import told_of_waiting
from flows.process.pipeline_lock import pipeline_lock
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace


@pytest.fixture
def told():
    return io.StringIO()


@pytest.fixture
def lock(tmp_path, told):
    reporter = Reporter(Console(file=told))
    return lambda: pipeline_lock(Workspace(tmp_path), "flats", on_wait=told_of_waiting(reporter))


def test_a_command_is_refused_while_another_run_goes_on(lock):
    with lock(), pytest.raises(BraidError, match="no other run at the same time"), lock():
        pass


def test_a_flow_run_of_a_deployment_waits_for_the_other_run(lock, told, monkeypatch):
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "of a server")
    entered = threading.Event()

    def work() -> None:
        with lock():
            entered.set()

    with lock():
        other = threading.Thread(target=work)
        other.start()
        while "waits for the end of another run of pipeline 'flats'" not in told.getvalue():
            other.join(0.01)
        assert not entered.is_set()
    other.join(30)
    assert entered.is_set()
