from __future__ import annotations

import pytest
from prefect import task
from prefect.testing.utilities import prefect_test_harness

from flows.orchestration.overlap import ending_others, step_beside
from flows.orchestration.run_steps import Run
from flows.process.child import StepStopped
from flows.records.record import StepRecord, read_record
from flows.records.step_result import StepResult
from tests.support.runs import flats, run_of
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def server():
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def run(tmp_path) -> Run:
    pipeline = flats()
    return run_of(pipeline, Workspace(tmp_path))


def took_1000_seconds(name: str) -> StepResult[None]:
    return StepResult(name, "", None, StepRecord(name=name, seconds=1000.0))


def until_stopped(run: Run) -> None:
    """A step that is ended from outside."""
    assert run.processes.stopping.wait(PATIENCE_SECONDS)
    raise StepStopped("a step")


def failing(place: str):
    def step(run: Run) -> None:
        raise BraidError(place, expected="an answer", received="nan", action="Look at it.")

    return step


def both(run: Run, step, block) -> None:
    """Runs a step beside a block."""
    with step_beside(run, "check", task(ending_others(step), persist_result=False)) as beside:
        beside.begin()
        block(run)


def test_a_step_that_ends_is_recorded_with_the_time_that_it_ran_beside_others(run):
    def check(run: Run) -> None:
        run.log.put(took_1000_seconds("check"))

    def evaluate(run: Run) -> None:
        run.log.put(took_1000_seconds("evaluate"))

    both(run, check, evaluate)
    steps = {step.name: step for step in read_record(run.log.folder).steps}
    assert set(steps) == {"check", "evaluate"}
    assert 0 < steps["check"].beside < 1000
    assert steps["evaluate"].beside == 0


def test_a_step_that_fails_ends_the_one_beside_it_and_its_error_is_told(run):
    with pytest.raises(BraidError) as caught:
        both(run, failing("check"), until_stopped)
    assert caught.value.place == "check"


def test_a_block_that_fails_ends_the_step_beside_it_and_its_error_is_told(run):
    with pytest.raises(BraidError) as caught:
        both(run, until_stopped, failing("evaluate"))
    assert caught.value.place == "evaluate"


def test_a_step_that_has_not_begun_is_not_waited_for(run):
    with step_beside(run, "train", None) as training:
        assert not training.has_begun
    assert not run.processes.stopping.is_set()
