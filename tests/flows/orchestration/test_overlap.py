from __future__ import annotations

import pytest
from prefect import task
from prefect.testing.utilities import prefect_test_harness

from flows.orchestration.overlap import ending_others, step_beside
from flows.process.child import StepStopped
from flows.records.record import StepRecord, read_record
from flows.sessions.session import Session
from tests.support.sessions import session_of
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def server():
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def session(tmp_path) -> Session:
    pipeline = parse(
        {
            "name": "flats",
            "source": {"path": "/data", "key": "id"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
        }
    )
    return session_of(pipeline, Workspace(tmp_path))


def until_stopped(session: Session) -> None:
    """What a step does that is ended from outside."""
    assert session.stopping.wait(PATIENCE_SECONDS)
    raise StepStopped("a step")


def failing(place: str):
    def step(session: Session) -> None:
        raise BraidError(place, expected="an answer", received="nan", action="Look at it.")

    return step


def both(session: Session, step, block) -> None:
    """Runs a step beside a block."""
    with step_beside(session, "check", task(ending_others(step), persist_result=False)) as beside:
        beside.begin()
        block(session)


def test_a_step_that_ends_is_recorded_with_the_time_that_it_ran_beside_others(session):
    def check(session: Session) -> None:
        session.finish(StepRecord(name="check", seconds=1000.0), "")

    def evaluate(session: Session) -> None:
        session.finish(StepRecord(name="evaluate", seconds=1000.0), "")

    both(session, check, evaluate)
    steps = {step.name: step for step in read_record(session.folder).steps}
    assert set(steps) == {"check", "evaluate"}
    assert 0 < steps["check"].beside < 1000
    assert steps["evaluate"].beside == 0


def test_a_step_that_fails_ends_the_one_beside_it_and_its_error_is_told(session):
    with pytest.raises(BraidError) as caught:
        both(session, failing("check"), until_stopped)
    assert caught.value.place == "check"


def test_a_block_that_fails_ends_the_step_beside_it_and_its_error_is_told(session):
    with pytest.raises(BraidError) as caught:
        both(session, until_stopped, failing("evaluate"))
    assert caught.value.place == "evaluate"


def test_a_step_that_has_not_begun_is_not_waited_for(session):
    with step_beside(session, "train", None) as training:
        assert not training.has_begun
    assert not session.stopping.is_set()
