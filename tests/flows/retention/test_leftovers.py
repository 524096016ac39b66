"""What killed steps left behind goes, and only that."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from flows.orchestration.run_steps import transform_lock
from flows.retention import leftovers
from flows.retention.exclusion import exclusive
from tests.support.shards import (
    DAY_1,
    DAY_2,
    OTHERS,
    OURS,
    commit,
    data_declaration,
    flats_run,
    leave_started,
    names_in,
    write_file,
    write_transform,
)
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_a_commit_that_was_killed_is_cleaned_up_though_nothing_is_pending(workspace):
    write_transform(workspace, OURS)
    folder = commit(workspace, OURS, DAY_1)
    write_file(folder / "units" / "plan.json")
    write_file(folder / "train-of-a-killed-attempt.tfrecord")
    write_file(folder / ".tmp-train.tfrecord")
    with transform_lock(flats_run(workspace, DAY_1)):
        pass
    assert names_in(folder) == {"manifest.json", "train.tfrecord"}
    assert names_in(workspace.rejects(OURS, "day=1", "f1")) == {"00000.parquet"}


def test_what_is_finished_of_a_pending_partition_is_kept_and_an_old_one_is_not(workspace):
    write_transform(workspace, OURS)
    committed = commit(workspace, OURS, DAY_2)
    folder, rejects = leave_started(workspace, OURS, DAY_1)
    old = DAY_1.model_copy(update={"fingerprint": "f0"})
    old_folders = leave_started(workspace, OURS, old)
    with transform_lock(flats_run(workspace, DAY_1)):
        assert names_in(folder) == {"units", "train.tfrecord"}
        assert names_in(rejects) == {"00000.parquet"}
    assert not any(path.exists() for path in old_folders)
    assert names_in(committed) == {"manifest.json", "train.tfrecord"}, "it is another pipeline's"


@pytest.mark.parametrize("held", [False, True])
def test_leftovers_of_another_transform_go_unless_someone_works_on_it(workspace, held):
    write_transform(workspace, OTHERS)
    committed = commit(workspace, OTHERS, DAY_1)
    folders = leave_started(workspace, OTHERS, DAY_2)
    half = write_file(workspace.root / "transforms" / ".tmp-1234-cccc" / "graph").parent
    temporary = write_file(workspace.transform(OTHERS) / ".tmp-1234-transform.json")
    lock = exclusive_lock(workspace.lock("transform", OTHERS), holder="other")
    with lock if held else nullcontext(), transform_lock(flats_run(workspace, DAY_1)):
        pass
    assert [path.exists() for path in (*folders, temporary)] == [held] * 3
    assert not half.exists()
    assert names_in(committed) == {"manifest.json", "train.tfrecord"}
    assert names_in(workspace.rejects(OTHERS, "day=1", "f1")) == {"00000.parquet"}
    assert workspace.read_transform(OTHERS) is not None


def test_a_run_with_nothing_to_write_does_not_wait_for_another(workspace):
    write_transform(workspace, OURS)
    folder = commit(workspace, OURS, DAY_1)
    write_file(folder / "units" / "plan.json")
    with (
        exclusive_lock(workspace.lock("transform", OURS), holder="other"),
        transform_lock(flats_run(workspace, DAY_1)),
    ):
        assert (folder / "units").exists()


def test_what_a_killed_removal_left_of_a_transform_goes_with_the_next_run(workspace, monkeypatch):
    mine = data_declaration(workspace)
    write_transform(workspace, "old", DAY_1, declaration=mine, age=2)
    write_transform(workspace, OURS, DAY_1, declaration=mine)
    old, _ = commit(workspace, "old", DAY_1), commit(workspace, OURS, DAY_1)
    drift = write_file(workspace.drift("old", {"day=2": "f2"}))

    def killed(path: Path) -> None:
        if path == old.parent:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, exclusive(workspace, "transform", "old") as hold:
        patch.setattr(leftovers, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            leftovers.remove_transform(workspace, "old", hold)
    assert workspace.read_transform("old") is None
    with transform_lock(flats_run(workspace, DAY_1)):
        pass
    assert not any(path.exists() for path in (old, drift, workspace.root / "rejects/old"))
    assert list(workspace.root.rglob(".tmp-*")) == []
    assert workspace.is_committed(OURS, "day=1", "f1")


def test_a_transform_that_was_made_again_keeps_its_shards_beside_a_killed_removal(workspace):
    write_transform(workspace, OTHERS)
    committed = commit(workspace, OTHERS, DAY_1)
    half = write_file(workspace.root / "transforms" / f".tmp-unused-{OTHERS}" / "graph").parent
    with transform_lock(flats_run(workspace, DAY_1)):
        pass
    assert committed.exists()
    assert not half.exists()
