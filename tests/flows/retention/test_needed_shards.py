"""The data that runs, tunings and backfills keep others from removing."""

from __future__ import annotations

import pytest

from flows.records.backfill_record import RECORD_FILE, PartitionRecord
from flows.records.kept import write_kept
from flows.records.record import RunRecord, write_record
from flows.retention.needed_shards import Needed, needed, past_partitions
from tests.support.records import backfill_record, run_record
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import PartitionId

DAY_1, DAY_2 = PartitionId("day=1", "f1"), PartitionId("day=2", "f2")


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def _record(pipeline: str, transform: str, *partitions: PartitionId, **values) -> RunRecord:
    return run_record(pipeline=pipeline, transform=transform, partitions=dict(partitions), **values)


def _run(workspace: Workspace, number: int, *record, **values) -> None:
    pipeline = record[0]
    write_record(workspace.run(pipeline, f"r{number}"), _record(*record, **values))


def test_an_empty_workspace_needs_nothing(workspace):
    assert needed(workspace) == Needed()


def test_a_pipelines_newest_run_and_its_newest_one_with_a_model_are_needed(workspace):
    _run(workspace, 1, "flats", "old", DAY_1, status="promoted")
    _run(workspace, 2, "flats", "model's", DAY_1, status="refused")
    _run(workspace, 3, "flats", "newest", DAY_1, DAY_2, status="failed")
    kept = needed(workspace)
    assert kept.transforms == {"model's", "newest"}
    assert kept.shards == {("model's", DAY_1), ("newest", DAY_1), ("newest", DAY_2)}
    assert kept.partitions() == {DAY_1, DAY_2}


def test_of_the_pipeline_that_asks_only_the_newest_run_and_open_ones_are_needed(workspace):
    _run(workspace, 1, "flats", "old", DAY_1, status="promoted")
    _run(workspace, 2, "flats", "open", DAY_1, status="stopped")
    _run(workspace, 3, "flats", "newest", DAY_2, status="promoted")
    write_record(workspace.tunings("flats") / "t", _record("flats", "tuning's", DAY_1))
    assert needed(workspace, "flats").shards == {("open", DAY_1), ("newest", DAY_2)}
    assert needed(workspace, "other").transforms == {"open", "newest", "tuning's"}


@pytest.mark.parametrize("status", ["running", "stopped", "failed"])
def test_an_older_run_that_goes_on_or_may_be_resumed_is_needed(workspace, status):
    _run(workspace, 1, "flats", "gone on with", DAY_1, status=status)
    _run(workspace, 2, "flats", "given up", DAY_1, status=status, abandoned=True)
    _run(workspace, 3, "flats", "newest", DAY_2, status="promoted")
    assert needed(workspace).transforms == {"gone on with", "newest"}


def test_backfills_and_tunings_of_others_are_needed(workspace):
    part = PartitionRecord(name="day=2", fingerprint="f2")
    backfill = backfill_record(transform="backfill's", partitions=[part])
    write_kept(workspace.backfills("flats") / "b" / RECORD_FILE, backfill)
    write_record(workspace.tunings("flats") / "t", _record("flats", "tuning's", DAY_1))
    assert needed(workspace).shards == {("backfill's", DAY_2), ("tuning's", DAY_1)}


def test_what_work_begins_with_is_needed_beside_the_rest():
    known = Needed().and_by("t", [DAY_1]).and_by("u", [DAY_2])
    assert known.transforms == {"t", "u"}
    assert known.shards == {("t", DAY_1), ("u", DAY_2)}


def test_the_past_of_a_pipeline_has_what_earlier_attempts_found(workspace):
    record = _record("flats", "t", DAY_2)
    record.past_partitions = [DAY_1]
    write_record(workspace.run("flats", "r1"), record)
    assert set(past_partitions(workspace, "flats")) == {("t", DAY_1), ("t", DAY_2)}


def test_the_past_of_a_pipeline_has_what_only_a_backfill_found(workspace):
    part = PartitionRecord(name="day=1", fingerprint="f1")
    for name, transform in (("a", "t"), ("b", None)):
        record = backfill_record(transform=transform, partitions=[part])
        write_kept(workspace.backfills("flats") / name / RECORD_FILE, record)
    assert set(past_partitions(workspace, "flats")) == {("t", DAY_1)}
