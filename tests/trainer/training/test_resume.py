"""A training that is killed within an epoch goes on there; no row is seen twice or missed."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.trainer.logged_training import log_batches
from tests.trainer.training.test_training import assert_same, outcome
from tests.trainer.world import DECLARATION, pipeline_of, split_of, training_with, with_stored
from trainer.training import epoch
from trainer.training.checkpoint import Checkpoints
from trainer.training.training import train
from transforms.contract.workspace.manifest import StoredFeature

NUMBERS = [number for number in range(120) if split_of(number) == "train"]
BATCH = 4
STEPS = math.ceil(len(NUMBERS) / BATCH)
NOISE = StoredFeature(name="z", role="feature", kind="noise", dtype="float32", shape=(5,),
                      storage="drawn", distribution="normal")  # fmt: skip


@pytest.fixture(scope="module")
def world(trainer_world, tmp_path_factory):
    return with_stored(trainer_world, tmp_path_factory.mktemp("resume") / "workspace", NOISE)


def pipeline(**training):
    """Everything that is random: dropout, modality dropout, augmentation, noise, order."""
    model = {
        "encoders": {"photo": {"kind": "cnn", "filters": [4], "units": 8}},
        "fusion": {"kind": "concatenate", "hidden": [16], "modality_dropout": 0.1},
        "augment": {"photo": {"flip": "horizontal", "shift": 0.2, "brightness": 0.2}},
    }
    return pipeline_of(
        features=DECLARATION["features"] | {"z": {"kind": "noise", "dimension": 5}},
        model=model,
        training=training_with(
            epochs=3, batch_size=BATCH, early_stopping_patience=None, **training
        ),
    )


def killed_within_an_epoch(job, log, *, batches):
    """Returns the position of a training that was killed after so many batches of its second epoch.

    SIGKILL comes while the checkpoint of a later step may be half written.
    """
    file = log.with_suffix(".json")
    file.write_text(job.model_dump_json())
    checkpoints = Checkpoints(Path(job.run_folder) / "training")
    command = [sys.executable, "-m", "tests.trainer.logged_training", str(file), str(log)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    deadline = time.monotonic() + 240
    while child.poll() is None and time.monotonic() < deadline:
        position = checkpoints.position(1)
        if position is not None and position.batches >= batches:
            break
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    return checkpoints.position(1)


def batches_of(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_training_that_is_killed_within_an_epoch_goes_on_at_the_batch_where_it_was(
    world, tmp_path, monkeypatch
):
    job = world.job("cut", pipeline(checkpoint_seconds=1e-6))
    position = killed_within_an_epoch(job, tmp_path / "first", batches=7)
    assert 7 <= position.batches < STEPS
    assert position.rows == BATCH * position.batches
    (within,) = Path(job.run_folder).glob("training/within-epoch*")
    assert within.stat().st_size < 200_000

    monkeypatch.setattr(epoch, "traced", epoch.traced)
    log_batches(tmp_path / "second")
    train(job)
    before, after = batches_of(tmp_path / "first"), batches_of(tmp_path / "second")
    # What the killed process learnt after its last checkpoint is lost, and learnt again.
    seen = [*before[STEPS : STEPS + position.batches], *after[: STEPS - position.batches]]
    wanted = Counter({int(n * 37 % 256): 1 for n in NUMBERS})
    assert len(wanted) == len(NUMBERS)
    assert Counter(key for batch in seen for key in batch) == wanted
    assert len(after) == 2 * STEPS - position.batches

    whole = world.job("whole", pipeline(checkpoint_seconds=None))
    log_batches(tmp_path / "whole")
    train(whole)
    assert seen == batches_of(tmp_path / "whole")[STEPS : 2 * STEPS]
    assert_same(outcome(job), outcome(whole))
    kept = {path.name for path in (Path(job.run_folder) / "training").iterdir()}
    assert kept == {"state.json", "epoch-0002.npz"}


def test_an_epochs_figures_go_on_from_the_position(world, monkeypatch):
    job = world.job("figures", pipeline(checkpoint_seconds=1e-6))
    saved, told = [], []

    def cut(checkpoints, model, states, position):
        save(checkpoints, model, states, position)
        saved.append(position)
        if position.batches == 9:
            raise KeyboardInterrupt

    save = Checkpoints.save_within
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save_within", cut)
        with pytest.raises(KeyboardInterrupt):
            train(job)
    monkeypatch.setattr(epoch, "_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(epoch, "report", lambda done, total, **_: told.append((done, total)))
    train(job)
    assert told == [(done, 3 * STEPS) for done in range(10, 3 * STEPS + 1)]
    (first, *_) = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    assert first["seconds"] > saved[-1].seconds > saved[0].seconds
    assert first["input_wait_share"] * first["seconds"] > saved[-1].waited > 0
    assert np.isclose(first["rows_per_second"] * first["seconds"], len(NUMBERS))


def test_members_averages_and_a_second_training_go_on_where_they_were(trainer_world, monkeypatch):
    model = {"features": ["color", "sizes"], "targets": ["sold"]}
    training = training_with(epochs=2, members=2, ema=0.8, refit="all", checkpoint_seconds=1e-6)
    small = pipeline_of(
        model=model | {"fusion": {"kind": "concatenate", "hidden": [8]}}, training=training
    ).modelled()
    job = trainer_world.job("cut-twice", small)
    for folder in ("training", "training/refit"):
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoints, "save_within", cut_at(Path(job.run_folder) / folder, 3))
            with pytest.raises(KeyboardInterrupt):
                train(job)
    result = train(job)
    whole = trainer_world.job("cut-never", small)
    wanted = train(whole)
    assert_same(outcome(job), outcome(whole))
    assert (result.best_steps, result.recipe) == (wanted.best_steps, wanted.recipe)
    chosen, others = (
        keras.models.load_model(Path(j.run_folder) / "chosen.keras").get_weights()
        for j in (job, whole)
    )
    assert all(np.array_equal(a, b) for a, b in zip(chosen, others, strict=True))


def cut_at(folder, batches):
    """Returns a `save_within` that is interrupted once a training has learnt so many batches."""
    save = Checkpoints.save_within

    def cut(checkpoints, model, states, position):
        save(checkpoints, model, states, position)
        if checkpoints._folder == folder and position.batches == batches:
            raise KeyboardInterrupt

    return cut


def test_a_position_within_an_epoch_that_is_committed_is_ignored(tmp_path):
    from tests.trainer.training.test_checkpoint import compiled
    from trainer.training.checkpoint import Position

    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.position(0) is None
    checkpoints.save_within(compiled(), [], Position(epoch=0, batches=2, sums={"loss": 0.1}))
    assert checkpoints.position(0) == Position(epoch=0, batches=2, sums={"loss": 0.1})
    assert checkpoints.position(1) is None
