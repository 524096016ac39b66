"""Partitions of one transform: committed one by one, and finished after a kill."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.command import until
from tests.support.jobs import transform_job
from tests.transforms.conftest import write_rows
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.contract.fingerprint import checksum
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.manifest import Shard
from transforms.contract.workspace.partition import Partition
from transforms.shards.transform import (
    UnitReceipt,
    _Commits,
    _cut,
    _plan,
    _TransformUnit,
    transform,
)
from transforms.source.units import WorkUnit

PRICE = {"price": {"kind": "numeric"}}


def three_days(folder: Path, workspace: str = "workspace") -> TransformJob:
    """Analyzes three partitions of nine rows."""
    for day in (1, 2, 3):
        path = folder / "data" / f"day={day}" / "rows.parquet"
        write_rows({"id": [f"{day}-{i}" for i in range(9)], "price": [1.0 * day] * 9}, path)
    job = job_of(folder, workspace)
    analyze(job.model_dump_json())
    return job


def job_of(folder: Path, workspace: str = "workspace") -> TransformJob:
    source = {"path": str(folder / "data"), "key": "id", "partition_by": "day"}
    target = {"sold": {"kind": "numeric", "column": "price"}}
    pipeline = parse({"name": "days", "source": source, "features": PRICE, "targets": target})
    return transform_job(pipeline, folder / workspace)


def address(partition: Partition) -> tuple[str, str]:
    return partition.name, partition.fingerprint


def plan_of(job: TransformJob) -> list[WorkUnit]:
    return _cut(job, job.partitions[0], at_least=1)


def shards_of(job: TransformJob, partition: Partition) -> tuple[Shard, ...]:
    manifest = job.folders().read_shards(job.transform, partition.name, partition.fingerprint)
    assert manifest is not None
    return manifest.shards


def test_what_is_left_of_a_killed_transform_is_written_as_if_it_had_not_been_killed(
    tmp_path, monkeypatch
):
    undisturbed = three_days(tmp_path)
    transform(undisturbed.model_dump_json())

    job = three_days(tmp_path, "killed")
    first = job.partitions[0]
    work = _TransformUnit._transform

    def only_the_first(self, unit) -> None:
        if unit.partition != first.name:
            raise KeyError(unit.partition)
        work(self, unit)

    monkeypatch.setattr(_TransformUnit, "_transform", only_the_first)
    with pytest.raises(Exception, match="KeyError"):
        transform(job.model_dump_json())
    monkeypatch.undo()
    transform(job.model_copy(update={"partitions": (first,)}).model_dump_json())
    assert transform(job.model_dump_json()).partitions == 2

    assert [shards_of(job, p) for p in job.partitions] == [
        shards_of(undisturbed, p) for p in undisturbed.partitions
    ]


def test_what_another_version_began_is_begun_anew(tmp_path):
    undisturbed = three_days(tmp_path)
    transform(undisturbed.model_dump_json())

    job = three_days(tmp_path, "older")
    first = job.partitions[0]
    units = job.folders().shards(job.transform, first.name, first.fingerprint) / "units"
    units.mkdir(parents=True)
    (units / "plan.json").write_text('{"at_least": 8}')
    (units / "00000.json").write_text("{}")
    transform(job.model_dump_json())

    assert shards_of(job, first) == shards_of(undisturbed, undisturbed.partitions[0])


@pytest.mark.parametrize("overtaken", ["while it reads", "before it reads"])
def test_an_attempt_that_another_overtook_changes_nothing(tmp_path, monkeypatch, overtaken):
    job = three_days(tmp_path)
    unit = plan_of(job)[0]
    late = _TransformUnit(job, {unit.partition: 1})
    late.setup()
    write = _TransformUnit._write
    folder = job.folders().shards(job.transform, *address(job.partitions[0]))

    def overtake(self, *arguments) -> None:
        if self is late:
            transform(job.model_dump_json())
        write(self, *arguments)

    if overtaken == "while it reads":
        monkeypatch.setattr(_TransformUnit, "_write", overtake)
    else:
        transform(job.model_dump_json())
    late.process(unit)
    named = {shard.file: shard.checksum for shard in shards_of(job, job.partitions[0])}
    assert {p.name for p in folder.iterdir()} == {"manifest.json", *named}
    assert {name: checksum(folder / name) for name in named} == named


@pytest.mark.parametrize("damage", ["cut", "gone", "no receipt"])
def test_a_receipt_whose_shard_is_not_whole_counts_for_nothing(tmp_path, monkeypatch, damage):
    undisturbed = three_days(tmp_path)
    transform(undisturbed.model_dump_json())
    job = three_days(tmp_path, "damaged")
    monkeypatch.setattr("transforms.shards.transform._commit", lambda *_: None)
    transform(job.model_dump_json())
    monkeypatch.undo()
    folder = job.folders().shards(job.transform, *address(job.partitions[0]))
    shard = next(folder.glob("train-*.tfrecord"))
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-3])
    elif damage == "gone":
        shard.unlink()
    else:
        next(folder.glob("units/0*.json")).write_text('{"shards": [')
    transform(job.model_dump_json())
    assert [shards_of(job, p) for p in job.partitions] == [
        shards_of(undisturbed, p) for p in undisturbed.partitions
    ]
    for named in shards_of(job, job.partitions[0]):
        assert checksum(folder / named.file) == named.checksum


def test_a_partition_is_committed_while_later_ones_are_worked_on(tmp_path, monkeypatch):
    job = three_days(tmp_path)
    first, _, last = job.partitions
    work = _TransformUnit._transform

    def committed(partition) -> bool:
        return job.folders().is_committed(job.transform, partition.name, partition.fingerprint)

    def wait_for_the_first(self, unit) -> None:
        if unit.partition == last.name:
            until(lambda: committed(first), seconds=30)
        work(self, unit)

    monkeypatch.setattr(_TransformUnit, "_transform", wait_for_the_first)
    assert transform(job.model_dump_json()).rows == 27
    assert all(map(committed, job.partitions))
    folders = (tmp_path / "workspace" / "shards").glob("*/*")
    assert not [path for folder in folders for path in folder.iterdir() if path.is_dir()]


def test_rows_that_other_processes_transform_are_told_by_their_receipts(tmp_path):
    job = three_days(tmp_path)
    plan = {name: units for name, (units, _) in _plan(job).items()}
    first, second, third = (unit for units in plan.values() for unit in units)
    work = _TransformUnit(job, dict.fromkeys(plan, 1))
    work.setup()
    work.process(first)
    commits = _Commits(job, plan, [second, third])
    assert commits.rows_written() == 0, "what an earlier run did is not this one's progress"
    work.process(second)
    assert commits.rows_written() == 9
    commits.try_those_done()
    assert commits.rows_written() == 9, "its receipt is gone with the commit"
    work.process(third)
    commits.all()
    assert commits.rows_written() == 18


def test_the_progress_of_many_units_is_told_in_no_time(tmp_path):
    write_rows({"id": ["a"], "price": [1.0]}, tmp_path / "data" / "day=1" / "rows.parquet")
    job = job_of(tmp_path)
    name = job.partitions[0].name
    units = [WorkUnit(name, "1", index, ()) for index in range(8_000)]
    commits = _Commits(job, {name: units}, units)
    for unit in units:
        commits._note(unit, UnitReceipt(shards=(), rows=1, rejects=(), replaced=()))
    begun = time.thread_time()
    assert commits.rows_written() == 8_000
    assert time.thread_time() - begun < 0.3, "in the square of the units it takes seconds"
