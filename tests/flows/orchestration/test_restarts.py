"""A server's flow run waits its turn, as a command does not."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace

import pytest
from rich.console import Console

from flows.console.progress import Reporter
from flows.orchestration import restarts
from flows.orchestration.restarts import MOST_STARTS, pipeline_lock, refuse_endless_restarts
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace


@pytest.fixture
def told():
    return io.StringIO()


@pytest.fixture
def lock(tmp_path, told):
    return lambda: pipeline_lock(Workspace(tmp_path), "flats", Reporter(Console(file=told)))


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


def test_a_flow_run_that_crashes_again_and_again_comes_to_an_end(monkeypatch):
    for start in range(1, MOST_STARTS + 1):
        monkeypatch.setattr(restarts, "flow_run", SimpleNamespace(run_count=start, name="flats"))
        refuse_endless_restarts()
    one_more = SimpleNamespace(run_count=MOST_STARTS + 1, name="flats")
    monkeypatch.setattr(restarts, "flow_run", one_more)
    with pytest.raises(BraidError, match="to end within 5 starts, received start 6"):
        refuse_endless_restarts()
