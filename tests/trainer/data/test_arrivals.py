"""A training that begins before all partitions are transformed."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.trainer.logged_training import log_batches
from tests.trainer.training.test_training import assert_same, outcome
from tests.trainer.world import DECLARATION, World, pipeline_of, split_of, training_with
from trainer.data import arrivals
from trainer.data.shards import shard_files
from trainer.training import epoch
from trainer.training.checkpoint import Checkpoints
from trainer.training.training import train
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.partition import PartitionId

BATCH = 4
DAYS = {1: "p1", 2: "p2"}
# The color of a picture's first pixel tells a training row.
KEYS = {
    day: {int(n * 37 % 256) for n in numbers if split_of(n) == "train"}
    for day, numbers in ((1, range(60)), (2, range(60, 120)))
}


@pytest.fixture
def world(trainer_world, tmp_path) -> World:
    root = tmp_path / "workspace"
    shutil.copytree(trainer_world.root, root, ignore=shutil.ignore_patterns("runs"))
    return World(root, trainer_world.graph)


def streaming(world: World, run: str, *, days: tuple[int, ...] = (1, 2), **training):
    pipeline = pipeline_of(
        source=DECLARATION["source"] | {"partition_by": "day"},
        training=training_with(
            start="streaming", epochs=2, batch_size=BATCH, early_stopping_patience=None, **training
        ),
    )
    parts = tuple(PartitionId(name=f"day={day}", fingerprint=DAYS[day]) for day in days)
    return world.job(run, pipeline, partitions=parts)


def manifest(world: World, day: int) -> Path:
    folder = Workspace(world.root).shards(world.transform, f"day={day}", DAYS[day])
    return folder / "manifest.json"


def hide(world: World, *days: int) -> None:
    for day in days:
        manifest(world, day).rename(manifest(world, day).with_suffix(".later"))


def commit(world: World, day: int) -> None:
    manifest(world, day).with_suffix(".later").rename(manifest(world, day))


def learnt(log: Path) -> list[list[int]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """Returns a function that trains a job and gives the keys of every batch that it learnt."""

    def run(job, name: str) -> list[list[int]]:
        with monkeypatch.context() as patch:
            patch.setattr(epoch, "traced", epoch.traced)
            log_batches(tmp_path / name)
            train(job)
        return learnt(tmp_path / name)

    return run


def test_partitions_are_learnt_as_they_are_committed_in_the_order_of_the_source(
    world, logged, tmp_path, monkeypatch
):
    hide(world, 1, 2)
    whole_batches, committed = len(KEYS[2]) // BATCH, []

    def commit_what_is_waited_for(done: int, total: int, *, unit: str) -> None:
        assert (total, unit) == (2, "partitions")
        if done == 1 and len(learnt(tmp_path / "waiting")) < whole_batches:
            return  # the first partition is learnt before the second is there
        if len(committed) == done:
            committed.append((2, 1)[done])
            commit(world, committed[-1])

    monkeypatch.setattr(arrivals, "report", commit_what_is_waited_for)
    job = streaming(world, "waiting", days=(2, 1))
    batches = logged(job, "waiting")
    assert committed == [2, 1]

    steps = math.ceil(sum(map(len, KEYS.values())) / BATCH)
    first, second = (
        [key for batch in part for key in batch] for part in (batches[:steps], batches[steps:])
    )
    assert set(first[: len(KEYS[2])]) == KEYS[2]
    assert Counter(first) == Counter(second) == Counter([*KEYS[1], *KEYS[2]])
    result = json.loads((Path(job.run_folder) / "history.json").read_text())["result"]
    assert result["transform_wait_seconds"] > 0
    assert result["rows"] == len(first)

    # With everything there from the beginning, the very same is learnt.
    there = streaming(world, "there", days=(2, 1))
    assert logged(there, "there") == batches
    assert_same(outcome(job), outcome(there))
    result = json.loads((Path(there.run_folder) / "history.json").read_text())["result"]
    assert result["transform_wait_seconds"] == 0


def test_rows_are_shuffled_within_their_partition(world, logged):
    first = logged(streaming(world, "one", seed=1), "one")
    other = logged(streaming(world, "two", seed=2), "two")
    steps = len(KEYS[1]) // BATCH  # whole batches of the first partition
    one, two = ([key for batch in drawn[:steps] for key in batch] for drawn in (first, other))
    assert set(one) <= KEYS[1]
    assert set(two) <= KEYS[1]
    assert one != two


def test_a_training_that_is_stopped_while_partitions_are_missing_goes_on_without_a_row_twice(
    world, logged, tmp_path, monkeypatch
):
    whole = streaming(world, "whole")
    wanted = logged(whole, "whole")

    hide(world, 2)
    job = streaming(world, "cut", checkpoint_seconds=1e-6)
    save, cut = Checkpoints.save_within, 5

    def interrupt(checkpoints, model, states, position):
        save(checkpoints, model, states, position)
        if position.batches == cut:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save_within", interrupt)
        with pytest.raises(KeyboardInterrupt):
            logged(job, "first")
    commit(world, 2)
    assert [*learnt(tmp_path / "first"), *logged(job, "second")] == wanted
    assert_same(outcome(job), outcome(whole))


def test_a_partition_that_nobody_transforms_is_an_error(world, monkeypatch):
    hide(world, 2)
    monkeypatch.setattr(arrivals, "_PATIENCE_SECONDS", 0.3)
    with pytest.raises(BraidError, match=r"day=2.*no process that transforms"):
        train(streaming(world, "alone"))


def test_whoever_holds_the_transforms_lock_is_waited_for(world, monkeypatch):
    hide(world, 2)
    monkeypatch.setattr(arrivals, "_PATIENCE_SECONDS", 0.0)
    looks = []

    def commit_at_last(done: int, total: int, *, unit: str) -> None:
        del done, total, unit
        looks.append(1)
        if len(looks) == 4:
            commit(world, 2)

    monkeypatch.setattr(arrivals, "report", commit_at_last)
    lock = Workspace(world.root).lock("transform", world.transform)
    with exclusive_lock(lock, holder="a transform"):
        assert train(streaming(world, "patient")).epochs == 2
    assert len(looks) == 4


def test_a_damaged_shard_that_arrives_is_named(world):
    job = streaming(world, "damaged")
    file = shard_files(job, "train")[-1]
    file.path.write_bytes(file.path.read_bytes()[:-3])
    with pytest.raises(BraidError, match=file.path.name):
        train(job)


def test_partitions_without_any_training_row_are_refused(world):
    for day in DAYS:
        text = json.loads(manifest(world, day).read_text())
        text["shards"] = [s for s in text["shards"] if s["split"] != "train"]
        manifest(world, day).write_text(json.dumps(text))
    with pytest.raises(BraidError, match="at least one row"):
        train(streaming(world, "empty"))
