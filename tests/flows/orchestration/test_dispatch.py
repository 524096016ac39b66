"""The waiting side of a step on the `gpu` pool; the server is a table of states."""

from __future__ import annotations

import contextlib
import io
import threading
import uuid
from types import SimpleNamespace

import pytest
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed, Failed, Running
from rich.console import Console

from flows.commands.launch import launch
from flows.console.progress import Reporter
from flows.orchestration import dispatch
from flows.orchestration.dispatch import MOST_ATTEMPTS, GpuPool
from flows.process.attempt import Outcome, attempts, new_attempt
from flows.process.child import Done, StepDied, StepStopped
from flows.process.run_copies import RunCopies
from tests.flows.orchestration.test_trainer_flow import Job
from tests.support.bucket import URI, memory_bucket, place_in
from transforms.contract.declaration.parsing import parse
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.process.events import Progress, Returned
from transforms.contract.steps.results import TrainResult
from transforms.contract.steps.step import TRAIN
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace

JOB = Job('{"epochs": 3}')


class Server:
    """Hands every new key to `work`, which plays the worker, and tells the state that it gave."""

    def __init__(self, work) -> None:
        self.work = work
        self.keys: list[str] = []
        self.names: list[str] = []
        self.cancelled: list[uuid.UUID] = []
        self._states: dict[uuid.UUID, list] = {}
        self._runs: dict[str, uuid.UUID] = {}

    def run_deployment(self, name, *, parameters, idempotency_key, flow_run_name, **_):
        self.names.append(f"{name}: {flow_run_name}")
        if idempotency_key not in self._runs:
            self.keys.append(idempotency_key)
            (attempt,) = attempts(self.folder, parameters["step"])
            assert str(attempt.folder).endswith(parameters["attempt"])
            self.parameters = parameters
            flow_run = self._runs[idempotency_key] = uuid.uuid4()
            self._states[flow_run] = list(self.work(attempt))
        return SimpleNamespace(id=self._runs[idempotency_key])

    def read_flow_run(self, flow_run):
        states = self._states[flow_run]
        return SimpleNamespace(state=states.pop(0) if len(states) > 1 else states[0])

    def set_flow_run_state(self, flow_run, state):
        assert state.is_cancelling()
        self.cancelled.append(flow_run)


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Returns how to run a step on a pool whose worker does some work."""
    return _pool(tmp_path / "runs" / "flats" / "r1", monkeypatch)


@pytest.fixture
def pool_apart(tmp_path, monkeypatch):
    """The same where the worker's machine shares a bucket with this one, and no folder."""
    with memory_bucket():
        folder = tmp_path / "runs" / "flats" / "r1"
        place = place_in(tmp_path / "cache") / "runs/flats/r1"
        yield _pool(folder, monkeypatch, RunCopies(folder, place))


def _pool(folder, monkeypatch, copies=None):
    monkeypatch.setattr(dispatch, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(dispatch, "_OUTCOME_SECONDS", 0.05)
    output = io.StringIO()
    reporter = Reporter(Console(file=output, width=200))
    made = GpuPool("flats", folder, "flats, day=1", None, reporter, copies)

    def run(work, on_progress=lambda _: None, stopping=None):
        server = Server(work)
        server.folder = folder if copies is None else copies.place
        monkeypatch.setattr(dispatch, "run_deployment", server.run_deployment)
        monkeypatch.setattr(dispatch, "get_client", lambda **_: contextlib.nullcontext(server))
        run.server = server
        return made(TRAIN, JOB, on_progress, stopping or threading.Event())

    run.folder, run.output, run.copies = folder, output, copies
    return run


def _returned(**told) -> Outcome:
    result = TrainResult(**told).model_dump_json()
    return Outcome(returned=Returned(result=result, peak_bytes=7))


def _ended(attempt, outcome: Outcome):
    attempt.put_outcome(outcome)
    return [Running(), Completed()]


def test_result_and_progress_come_back_and_nothing_is_left(pool):
    def work(attempt):
        attempt.put_progress(Progress(done=1, total=2, unit="steps"))
        return _ended(attempt, _returned(epochs=3))

    seen = []
    assert pool(work, seen.append) == Done(TrainResult(epochs=3), 7)
    assert seen == [Progress(done=1, total=2, unit="steps")]
    assert pool.server.names == ["braid-train/flats: train: flats, day=1"]
    assert list(attempts(pool.folder)) == []


def test_a_crash_is_followed_by_another_attempt_with_another_key(pool):
    def work(attempt):
        if len(pool.server.keys) == 1:
            return [Running(), Crashed(message="the host is lost")]
        return _ended(attempt, _returned())

    assert pool(work).result == TrainResult()
    assert len(set(pool.server.keys)) == 2
    assert "attempt 1 of 3 died: a crash of its flow run: the host is lost" in (
        pool.output.getvalue()
    )


def test_a_killed_trainer_is_followed_by_another_attempt_but_not_for_ever(pool):
    died = StepDied("train", expected="a", received="killed by signal 9", action="See the log.")

    def work(attempt):
        attempt.put_outcome(Outcome(error=ErrorReport.of(died), died=True))
        return [Failed(message="StepDied")]

    with pytest.raises(StepDied, match="killed by signal 9"):
        pool(work)
    assert len(pool.server.keys) == MOST_ATTEMPTS


def test_an_error_for_the_user_comes_back_as_it_is_and_is_not_tried_again(pool):
    error = DeclarationError("model.builder", expected="a", received="b", action="Do c.")

    def work(attempt):
        attempt.put_outcome(Outcome(error=ErrorReport.of(error)))
        return [Failed(message="DeclarationError")]

    with pytest.raises(DeclarationError, match=r"model\.builder: expected a, received b\. Do c\."):
        pool(work)
    assert len(pool.server.keys) == 1


@pytest.mark.parametrize(
    ("state", "received"),
    [
        (Failed(message="No module named 'flows'."), "the state Failed: No module named 'flows'"),
        (Cancelled(), "the state Cancelled"),
        (Completed(), "the state Completed"),
    ],
)
def test_an_end_without_an_outcome_says_how_the_flow_run_ended(pool, state, received):
    with pytest.raises(BraidError) as caught:
        pool(lambda _: [state])
    assert caught.value.received == received
    assert len(pool.server.keys) == 1


def test_a_flow_that_starts_again_goes_on_with_the_attempt_under_way(pool):
    under_way = new_attempt(pool.folder, "train", JOB)

    def work(attempt):
        assert attempt == under_way
        return _ended(attempt, _returned(epochs=3))

    assert pool(work).result == TrainResult(epochs=3)
    assert pool.server.keys == [f"r1 {under_way.folder.name}"]


def test_an_attempt_at_another_job_is_given_up(pool):
    old = new_attempt(pool.folder, "train", Job('{"epochs": 2}'))
    assert pool(lambda attempt: _ended(attempt, _returned())).result == TrainResult()
    assert old.is_given_up()
    assert old.folder.name not in pool.server.keys[0]


def test_an_interrupt_ends_the_step_on_the_pool(pool):
    def interrupt(_):
        raise KeyboardInterrupt

    def work(attempt):
        attempt.put_progress(Progress(done=1, total=2, unit="steps"))
        return [Running()]

    with pytest.raises(KeyboardInterrupt):
        pool(work, interrupt)
    assert len(pool.server.cancelled) == 1
    assert list(attempts(pool.folder)) == []


def test_a_stop_ends_the_step_on_the_pool(pool):
    stopping = threading.Event()

    def work(attempt):
        attempt.put_progress(Progress(done=1, total=2, unit="steps"))
        return [Running()]

    with pytest.raises(StepStopped):
        pool(work, lambda _: stopping.set(), stopping)
    assert len(pool.server.cancelled) == 1
    assert list(attempts(pool.folder)) == []


def test_what_is_not_deployed_says_how_to_deploy_it(pool, monkeypatch):
    def work(_):
        raise ObjectNotFound(ValueError())

    with pytest.raises(BraidError, match="Run `braid deploy`"):
        pool(work)
    assert list(attempts(pool.folder)) == []


def test_without_a_server_a_training_elsewhere_is_refused_before_anything_runs(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    pipeline = parse(
        {
            "name": "flats",
            "source": {"path": str(tmp_path), "key": "id"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
            "training": {"dispatch": "deployment"},
        }
    )
    workspace = Workspace(tmp_path / "workspace")
    with pytest.raises(DeclarationError, match=r"training\.dispatch: deployment.*PREFECT_API_URL"):
        launch(Console(), tmp_path / "pipeline.yaml", pipeline, workspace, (), retrain=False)
    assert not workspace.root.exists()


def test_through_a_bucket_the_run_goes_to_another_machine_and_comes_back(pool_apart, tmp_path):
    write_atomic(pool_apart.folder / "training" / "state.json", "epoch 3")

    def work(attempt):
        trainer = RunCopies(tmp_path / "trainer", attempt.run_folder)
        trainer.pull()
        assert (trainer.folder / "training" / "state.json").read_text() == "epoch 3"
        attempt.put_progress(Progress(done=1, total=2, unit="steps"))
        write_atomic(trainer.folder / "model.keras", "weights")
        trainer.push()
        return _ended(attempt, _returned(epochs=3))

    seen = []
    assert pool_apart(work, seen.append) == Done(TrainResult(epochs=3), 7)
    assert seen == [Progress(done=1, total=2, unit="steps")]
    parameters = pool_apart.server.parameters
    assert parameters["store"] == URI
    assert parameters["attempt"].startswith("runs/flats/r1/dispatched/train-")
    assert (pool_apart.folder / "model.keras").read_text() == "weights"
    assert list(attempts(pool_apart.copies.place)) == []


def test_through_a_bucket_another_attempt_goes_on_from_what_the_dead_one_left(pool_apart, tmp_path):
    def work(attempt):
        number = len(pool_apart.server.keys)
        trainer = RunCopies(tmp_path / f"trainer {number}", attempt.run_folder)
        trainer.pull()
        if number > 1:
            assert (trainer.folder / "training" / "state.json").read_text() == "epoch 1"
            return _ended(attempt, _returned())
        write_atomic(trainer.folder / "training" / "state.json", "epoch 1")
        trainer.push()
        return [Running(), Crashed(message="the host is lost")]

    assert pool_apart(work).result == TrainResult()
    assert len(set(pool_apart.server.keys)) == 2


def test_through_a_bucket_a_flow_that_starts_again_goes_on_with_the_attempt_under_way(pool_apart):
    under_way = new_attempt(pool_apart.copies.place, "train", JOB)
    assert pool_apart(lambda attempt: _ended(attempt, _returned(epochs=3))).result.epochs == 3
    assert pool_apart.server.keys == [f"r1 {under_way.folder.name}"]
