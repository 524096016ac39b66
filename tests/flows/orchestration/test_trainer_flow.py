"""The flow of a training machine, as a function; a tiny function is in the trainer's place."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from flows.orchestration import trainer_flow
from flows.process.attempt import (
    LOCK_FILE,
    Attempt,
    Outcome,
    attempts,
    new_attempt,
    remove_leftovers_of_the_dead,
)
from flows.process.child import Done, StepDied
from flows.process.inputs import send_inputs
from flows.process.run_copies import RunCopies
from tests.support.bucket import URI, memory_bucket, place_in
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.process.events import Progress
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.results import TrainResult
from transforms.contract.steps.step import TRAIN
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.locks import exclusive_lock


class Job:
    """A stand-in for a `TrainJob`: an attempt only writes and compares its text."""

    champion = warm_start = None

    def __init__(self, text: str = "{}") -> None:
        self._text = text

    def model_dump_json(self, **_) -> str:
        return self._text


@pytest.fixture
def attempt(tmp_path) -> Attempt:
    return new_attempt(tmp_path, "train", Job())


@pytest.fixture
def trainer(monkeypatch):
    """Puts a function in the place of the trainer's process."""

    def put(function):
        monkeypatch.setattr(trainer_flow, "run_child", function)

    return put


def _run(attempt: Attempt) -> None:
    trainer_flow.run_trainer_step.fn("train", str(attempt.folder))


def test_the_result_and_the_progress_lie_in_the_attempts_folder(attempt, trainer):
    def step(step, job, *, on_progress, log, **_):
        assert (step, job) == (TRAIN, attempt.job_file)
        assert log == attempt.run_folder / "logs" / "train.log"
        on_progress(Progress(done=3, total=9, unit="steps", numbers={"loss": 0.5}))
        return Done(TrainResult(epochs=2), 3)

    trainer(step)
    _run(attempt)
    returned = attempt.outcome().returned
    assert TrainResult.model_validate_json(returned.result) == TrainResult(epochs=2)
    assert returned.peak_bytes == 3
    assert attempt.progress() == Progress(done=3, total=9, unit="steps", numbers={"loss": 0.5})


@pytest.mark.parametrize(("kind", "died"), [(DeclarationError, False), (StepDied, True)])
def test_an_error_is_told_to_whoever_waits_and_to_the_server(attempt, trainer, kind, died):
    error = kind("training", expected="a", received="b", action="Do c.")

    def step(*_, **__):
        raise error

    trainer(step)
    with pytest.raises(kind):
        _run(attempt)
    assert attempt.outcome() == Outcome(error=ErrorReport.of(error), died=died)


def test_an_attempt_that_is_given_up_stops_at_its_next_word_and_leaves_nothing(attempt, trainer):
    said = []

    def step(*_, on_progress, **__):
        on_progress(Progress(done=1, total=9, unit="steps"))
        attempt.give_up()
        time.sleep(trainer_flow._PROGRESS_SECONDS)
        on_progress(Progress(done=2, total=9, unit="steps"))
        said.append("went on")

    trainer(step)
    with pytest.raises(BraidError, match="the job of this attempt, received no such file"):
        _run(attempt)
    assert said == []
    assert list(attempts(attempt.run_folder)) == []


def test_a_folder_that_is_not_there_says_that_the_workspace_has_to_be_shared(tmp_path):
    with pytest.raises(BraidError, match="mount the workspace at the same path"):
        _run(Attempt(tmp_path / "dispatched" / "train-1"))


def test_a_second_attempt_at_a_run_waits_for_the_first(attempt, trainer):
    trainer(lambda *_, **__: Done(TrainResult()))
    thread = threading.Thread(target=_run, args=[attempt])
    with exclusive_lock(attempt.run_folder / LOCK_FILE, holder="the first"):
        thread.start()
        time.sleep(1)
        assert attempt.outcome() is None
    thread.join(10)
    assert attempt.outcome().returned is not None


def test_what_an_attempt_under_way_writes_is_not_taken_for_a_dead_ones(attempt, trainer):
    half_written = attempt.run_folder / "training" / ".tmp-12345678-epoch-0001.npz"

    def step(*_, **__):
        half_written.parent.mkdir()
        half_written.touch()
        remove_leftovers_of_the_dead(attempt.run_folder)
        assert half_written.exists()
        return Done(TrainResult())

    trainer(step)
    _run(attempt)
    remove_leftovers_of_the_dead(attempt.run_folder)
    assert not half_written.exists()


@pytest.fixture
def bucket():
    with memory_bucket() as bucket:
        yield bucket


def _handed_over(folder, champion: Path | None = None, modules: Path | None = None) -> Attempt:
    """Hands the training of run r1 over through the bucket, from a machine with a folder."""
    job = TrainJob.model_construct(
        workspace=str(folder),
        run_folder=str(folder / "runs" / "flats" / "r1"),
        champion=None if champion is None else str(champion),
        warm_start=None,
        transform="t1",
    )
    run = place_in(folder / "cache") / "runs/flats/r1"
    return new_attempt(run, "train", job, lambda place: send_inputs(job, modules, place))


def _run_in(machine: Path, attempt: Attempt, patch: pytest.MonkeyPatch) -> None:
    patch.setenv(trainer_flow.WORKSPACE_VARIABLE, str(machine))
    trainer_flow.run_trainer_step.fn("train", attempt.folder.key, store=URI)


def test_a_step_through_a_bucket_has_a_workspace_models_and_modules_of_its_own(
    bucket, tmp_path, trainer, monkeypatch
):
    flows, champion = tmp_path / "flows", tmp_path / "flows" / "registry" / "1"
    for name, text in {"registry/1/braid.json": "{}", "mine.py": "A = 1", "data.csv": "a"}.items():
        (flows / name).parent.mkdir(parents=True, exist_ok=True)
        (flows / name).write_text(text)
    attempt = _handed_over(flows, champion, flows)
    own = tmp_path / "trainer" / "runs" / "flats" / "r1"

    def step(step, job, *, log, search_path, **_):
        handed = json.loads(job.read_text())
        assert handed["workspace"] == str(tmp_path / "trainer")
        assert handed["run_folder"] == str(own)
        assert handed["transform"] == "t1"
        assert (Path(handed["champion"]) / "braid.json").read_text() == "{}"
        assert str(flows) not in job.read_text()
        assert [path.name for path in search_path.iterdir()] == ["mine.py"]
        assert log == own / "logs" / "train.log"
        (own / "model.keras").write_text("weights")
        return Done(TrainResult(epochs=2), 3)

    trainer(step)
    _run_in(tmp_path / "trainer", attempt, monkeypatch)
    assert attempt.outcome().returned is not None
    copies = RunCopies(flows / "runs" / "flats" / "r1", attempt.run_folder)
    copies.pull()
    assert (copies.folder / "model.keras").read_text() == "weights"


def test_an_attempt_on_another_empty_machine_goes_on_from_the_last_checkpoint(
    bucket, tmp_path, trainer, monkeypatch
):
    def killed(*_, log, **__):
        write_atomic(log.parent.parent / "training" / "state.json", "epoch 3")
        raise StepDied("train", expected="a", received="killed by signal 9", action="See.")

    def goes_on(*_, log, **__):
        assert (log.parent.parent / "training" / "state.json").read_text() == "epoch 3"
        return Done(TrainResult())

    trainer(killed)
    first = _handed_over(tmp_path / "flows")
    with pytest.raises(StepDied):
        _run_in(tmp_path / "first", first, monkeypatch)
    assert first.outcome().died
    first.give_up()
    trainer(goes_on)
    second = _handed_over(tmp_path / "flows")
    _run_in(tmp_path / "second", second, monkeypatch)
    assert second.outcome().returned is not None
    assert list(attempts(second.run_folder)) == [second]


def test_what_an_attempt_that_was_given_up_made_is_not_put_into_the_store(
    bucket, tmp_path, trainer, monkeypatch
):
    attempt = _handed_over(tmp_path / "flows")

    def step(*_, log, **__):
        attempt.give_up()
        write_atomic(log.parent.parent / "model.keras", "weights")
        return Done(TrainResult())

    trainer(step)
    _run_in(tmp_path / "trainer", attempt, monkeypatch)
    assert [path for path in bucket.objects if "dispatched" not in path] == []


def test_a_bucket_that_is_away_while_a_step_tells_how_far_it_is_does_not_end_it(
    bucket, tmp_path, trainer, monkeypatch
):
    attempt = _handed_over(tmp_path / "flows")

    def step(*_, on_progress, **__):
        bucket.failures = [OSError("ACCESS_DENIED")]
        on_progress(Progress(done=1, total=9, unit="steps"))
        return Done(TrainResult())

    trainer(step)
    _run_in(tmp_path / "trainer", attempt, monkeypatch)
    assert attempt.outcome().returned is not None
