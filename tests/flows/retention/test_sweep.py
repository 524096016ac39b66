"""What nothing needs goes once the new shards are there, and nothing else."""

from __future__ import annotations

import os

import pytest

from flows.orchestration.run_steps import transform_lock
from flows.records.backfill_record import RECORD_FILE
from flows.records.kept import write_kept
from tests.support.records import backfill_record
from tests.support.runs import told_by
from tests.support.shards import (
    DAY_1,
    DAY_2,
    OTHERS,
    OURS,
    commit,
    data_declaration,
    flats_run,
    leave_tuning,
    write_file,
    write_statistics,
    write_transform,
)
from transforms.contract.workspace.files import remove
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.partition import Partition


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.mark.parametrize("pending", [False, True])
def test_shards_of_files_that_the_source_has_no_more_are_removed(workspace, pending):
    write_transform(workspace, OURS)
    flats_run(workspace, DAY_1, DAY_2)  # an earlier run
    old, gone = commit(workspace, OURS, DAY_1), commit(workspace, OURS, DAY_2)
    unknown = commit(workspace, OURS, DAY_1.model_copy(update={"fingerprint": "f9"}))
    corrected = DAY_1.model_copy(update={"fingerprint": "f1b"})
    run = flats_run(workspace, corrected)
    if not pending:
        commit(workspace, OURS, corrected)
    with transform_lock(run):
        assert old.exists() == gone.exists() == pending, "they stay until the new ones are there"
        if pending:
            commit(workspace, OURS, corrected)
    assert not old.exists()
    assert not gone.exists()
    assert not workspace.rejects(OURS, "day=1", "f1").exists()
    assert unknown.exists(), "no run of this pipeline made it"
    assert workspace.is_committed(OURS, "day=1", "f1b")
    (trained,) = run.work.train_job().shard_folders()
    assert trained[0].name == "day=1@f1b"
    assert "of 2 partitions that changed or are gone" in told_by(run)


def test_shards_that_only_a_tuning_of_the_pipeline_made_are_removed_too(workspace):
    write_transform(workspace, OURS)
    leave_tuning(workspace, OURS, DAY_1, name="flats")
    old = commit(workspace, OURS, DAY_1)
    corrected = DAY_1.model_copy(update={"fingerprint": "f1b"})
    commit(workspace, OURS, corrected)
    with transform_lock(flats_run(workspace, corrected)):
        pass
    assert not old.exists()


def test_shards_that_another_pipelines_newest_run_has_stay(workspace):
    write_transform(workspace, OURS)
    flats_run(workspace, DAY_1)
    flats_run(workspace, DAY_1, name="other")
    shared = commit(workspace, OURS, DAY_1)
    corrected = DAY_1.model_copy(update={"fingerprint": "f1b"})
    commit(workspace, OURS, corrected)
    with transform_lock(flats_run(workspace, corrected)):
        pass
    assert shared.exists()
    with transform_lock(flats_run(workspace, corrected, name="other")):
        pass
    assert not shared.exists()


def test_a_step_that_fails_keeps_the_shards_that_it_was_to_replace(workspace):
    write_transform(workspace, OURS)
    flats_run(workspace, DAY_1)
    old = commit(workspace, OURS, DAY_1)
    run = flats_run(workspace, DAY_1.model_copy(update={"fingerprint": "f1b"}))
    with pytest.raises(RuntimeError), transform_lock(run):
        raise RuntimeError
    assert old.exists()


def test_older_transforms_of_the_same_declaration_go_once_the_new_shards_are_there(workspace):
    mine = data_declaration(workspace)
    write_transform(workspace, "old", DAY_1, declaration=mine, age=2)
    write_transform(workspace, OURS, DAY_1, DAY_2, declaration=mine)
    write_transform(workspace, OTHERS, DAY_1, declaration="d", age=3)
    old, others = commit(workspace, "old", DAY_1), commit(workspace, OTHERS, DAY_1)
    drift = write_file(workspace.drift("old", {"day=2": "f2"}))
    run = flats_run(workspace, DAY_1, DAY_2)
    commit(workspace, OURS, DAY_1)
    with transform_lock(run):
        assert old.exists(), "until the new shards are there"
        commit(workspace, OURS, DAY_2)
    assert workspace.read_transform("old") is None
    gone = [workspace.transform("old"), old.parent, drift.parent, workspace.root / "rejects/old"]
    assert not any(path.exists() for path in gone)
    assert "removed 1 older transform, " in told_by(run)
    assert others.exists(), "another declaration's"
    assert workspace.read_transform(OTHERS) is not None
    assert list(workspace.root.rglob(".tmp-*")) == []


def test_an_older_transform_that_is_worked_with_again_stays(workspace):
    mine = data_declaration(workspace)
    write_transform(workspace, OURS, DAY_1, declaration=mine, age=9)
    write_transform(workspace, "newest", DAY_2, declaration=mine)
    commit(workspace, OURS, DAY_1)
    run = flats_run(workspace, DAY_1)
    remove(workspace.runs("flats"))  # as where a tuning works with it, and no run has
    with transform_lock(run):
        pass
    assert workspace.is_committed(OURS, "day=1", "f1")
    assert workspace.read_transform(OURS) is not None


def test_a_transform_that_another_pipeline_works_with_stays(workspace):
    mine = data_declaration(workspace)
    for number, name in enumerate(("run's", "backfill's", "tuning's", "locked", OURS)):
        write_transform(workspace, name, DAY_1, declaration=mine, age=9 - number)
        commit(workspace, name, DAY_1)
    run = flats_run(workspace, DAY_1, name="other")
    with run.log.recording() as record:
        record.transform = "run's"
    backfill = backfill_record(pipeline="third", transform="backfill's")
    write_kept(workspace.backfills("third") / "b" / RECORD_FILE, backfill)
    leave_tuning(workspace, "tuning's", DAY_1, name="fourth")
    with (
        exclusive_lock(workspace.lock("transform", "locked"), holder="locked"),
        transform_lock(flats_run(workspace, DAY_1)),
    ):
        pass
    kept = [path.name for path in (workspace.root / "transforms").iterdir()]
    assert sorted(kept) == ["aaaa", "backfill's", "locked", "run's", "tuning's"]
    assert workspace.is_committed("run's", "day=1", "f1")


def test_statistics_of_partitions_that_changed_or_are_gone_go(workspace):
    mine = data_declaration(workspace)
    frozen = DAY_1.model_copy(update={"fingerprint": "f1a"})
    write_transform(workspace, OURS, frozen, declaration=mine)
    commit(workspace, OURS, DAY_1)
    other = flats_run(workspace, DAY_2, name="other")
    parts = [DAY_1, frozen, DAY_2, DAY_1.model_copy(update={"fingerprint": "f0"})]
    now_, of_the_transform, of_another_run, old = (
        write_statistics(workspace, mine, part) for part in parts
    )
    killed = write_file(now_.with_name(".tmp-1234-day=3"))
    writing = write_file(now_.with_name(".tmp-5678-day=3"))
    os.utime(killed, (1, 1))
    foreign = write_statistics(workspace, "d", DAY_1)
    keys = [write_file(workspace.keys("id", part.name, part.fingerprint)) for part in parts]
    with transform_lock(flats_run(workspace, DAY_1)):
        pass
    kept = [now_, of_the_transform, of_another_run, writing, foreign]
    assert [path.exists() for path in (*kept, old, killed)] == [True] * 5 + [False] * 2
    assert other.log.record.partitions == {"day=2": "f2"}
    assert [path.exists() for path in keys] == [True, False, True, False]


def test_windows_of_a_table_that_changed_go_unless_another_run_reads_them(workspace):
    windows = {"time": "day", "length": 1, "values": ["area"]}
    declared = {
        "source": {"path": "/data", "key": "id", "windows": windows},
        "split": {"by": "time", "column": "day", "validation_from": 2, "test_from": 3},
    }
    write_transform(workspace, OURS)
    past = [Partition(name="all", value=None, fingerprint=f, files=()) for f in ("w1", "w2", "w3")]
    folders = [write_file(workspace.windows(p.fingerprint) / "windows.parquet") for p in past]
    unknown = write_file(workspace.windows("w9") / "windows.parquet")
    flats_run(workspace, past[1], name="other", **declared)
    for part in past:
        commit(workspace, OURS, part)
        run = flats_run(workspace, part, **declared)
    with transform_lock(run):
        pass
    assert [path.exists() for path in folders] == [False, True, True]
    assert unknown.exists(), "no run of this pipeline cut it"
