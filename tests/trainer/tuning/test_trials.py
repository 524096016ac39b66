"""Trials on tiny shards: each is a training of a few steps."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainer.world import pipeline_of
from trainer.training.training import train
from trainer.tuning import search
from trainer.tuning import trials as tuning
from trainer.tuning.trials import tune
from transforms.contract.errors import BraidError
from transforms.contract.steps.results import TuneResult
from transforms.contract.steps.tuning import (
    SearchedKey,
    TuneJob,
    read_trials,
    searched_keys,
    settings_of,
    with_settings,
)

QUICK = {"epochs": 3, "members": 1, "refit": None}
SMALL = {"features": ["color", "price"], "targets": ["sold"], "fusion": {"hidden": [8]}}


def job_of(world, name: str, *, trials: int, seconds: float = 600.0, keys=None, **training):
    pipeline = pipeline_of(training=QUICK | training, model=SMALL).modelled()
    job = world.job(name, pipeline)
    return TuneJob(
        training=job,
        keys=searched_keys(pipeline) if keys is None else keys,
        trials=trials,
        seconds=seconds,
        folder=str(Path(job.run_folder) / "trials"),
    )


def trials_of(job: TuneJob):
    return read_trials(Path(job.folder))


@pytest.fixture(scope="module")
def tuned(trainer_world) -> TuneJob:
    job = job_of(trainer_world, "tuned", trials=3)
    assert tune(job) == TuneResult(trials=3, train=86, validation=17)
    return job


def test_the_first_trial_is_the_declarations_own_training(trainer_world, tuned):
    first, *others = trials_of(tuned)
    assert first.changes == {}
    assert all(trial.changes for trial in others)
    job = tuned.training.model_copy(update={"run_folder": str(trainer_world.root / "runs/own")})
    train(job)
    history = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    assert first.loss == min(epoch["validation_loss"] for epoch in history)
    assert first.steps == history[-1]["steps"]


def test_a_trials_loss_is_that_of_a_training_with_its_keys(trainer_world, tuned):
    last = trials_of(tuned)[-1]
    pipeline = with_settings(tuned.training.pipeline, settings_of(tuned.keys, last.changes))
    job = trainer_world.job("with keys", pipeline)
    train(job)
    history = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    assert last.loss == min(epoch["validation_loss"] for epoch in history)


def test_declared_keys_are_not_changed(tuned):
    names = {key.name for key in tuned.keys}
    assert "model.fusion.hidden" not in names, "it is declared"
    for trial in trials_of(tuned):
        assert set(trial.changes) <= names


def test_trials_leave_no_weights(tuned):
    files = {path.name for path in Path(tuned.folder).iterdir()}
    assert files == {"0000.json", "0001.json", "0002.json"}


def test_a_tuning_that_goes_on_keeps_the_trials_that_ended(trainer_world, tuned):
    before = trials_of(tuned)
    assert tune(tuned) == TuneResult(trials=0, train=86, validation=17)
    more = tuned.model_copy(update={"trials": 4})
    assert tune(more).trials == 1
    assert trials_of(more)[:3] == before


def test_a_killed_process_loses_the_trial_that_was_under_way(trainer_world, tmp_path):
    job = job_of(trainer_world, "killed", trials=2)
    path, folder = tmp_path / "job.json", Path(job.folder)
    path.write_text(job.model_dump_json())
    child = subprocess.Popen(
        [sys.executable, "-m", "trainer", "tune", str(path)], stdin=subprocess.PIPE
    )
    deadline = time.monotonic() + 240
    while not (folder / "0001").exists() and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    (first,) = trials_of(job)

    assert tune(job).trials == 1
    trials = trials_of(job)
    assert [trial.number for trial in trials] == [0, 2]
    assert trials[0] == first
    assert not (folder / "0001").exists()


def test_when_the_time_is_up_the_trial_under_way_is_dropped_but_never_the_first(trainer_world):
    job = job_of(trainer_world, "late", trials=3, seconds=1e-6)
    assert tune(job).trials == 1
    (first,) = trials_of(job)
    assert (first.status, first.changes) == ("complete", {})
    assert tune(job).trials == 0


def test_a_trial_is_cut_within_its_training_when_the_time_is_up(trainer_world, monkeypatch):
    job = job_of(trainer_world, "cut", trials=2)
    clock = iter([0.0, 1.0, 2.0])
    tune(job.model_copy(update={"trials": 1}))
    monkeypatch.setattr(tuning.time, "monotonic", lambda: next(clock, 1e9))
    assert tune(job).trials == 0
    assert len(trials_of(job)) == 1
    assert [path.name for path in Path(job.folder).iterdir()] == ["0000.json"]


def test_a_trial_that_falls_behind_is_stopped_and_kept_as_such(trainer_world, monkeypatch):
    monkeypatch.setattr(search, "_NEVER_PRUNED", 1)
    monkeypatch.setattr(search, "_UNJUDGED_PARTS", 1)
    # Nothing is learnt at such a rate, so that every other trial is behind the first.
    slow = SearchedKey(name="rate", field="learning_rate", paths=("training.learning_rate",),
                       default=1e-6)  # fmt: skip
    job = job_of(trainer_world, "pruned", trials=2, keys=(slow,), learning_rate=0.01, epochs=12)
    tune(job)
    first, second = trials_of(job)
    assert (first.status, second.status) == ("complete", "pruned")
    assert 0 < second.steps < first.steps
    assert second.loss > first.loss


def test_a_trial_whose_loss_leaves_the_numbers_ends_alone(trainer_world):
    wild = SearchedKey(name="rate", field="learning_rate", paths=("training.learning_rate",),
                       default=1e30)  # fmt: skip
    job = job_of(
        trainer_world, "diverged", trials=2, keys=(wild,), learning_rate=0.01,
        gradient_clipping=None, optimizer="sgd",
    )  # fmt: skip
    assert tune(job).trials == 2
    first, second = trials_of(job)
    assert (first.status, second.status, second.loss) == ("complete", "diverged", None)


def test_trials_need_validation_rows(trainer_world, monkeypatch):
    monkeypatch.setattr(tuning.TrainingData, "validation", property(lambda _: ()))
    with pytest.raises(BraidError, match="expected rows to compare trials by"):
        tune(job_of(trainer_world, "blind", trials=1))
