"""The steps of a backfill on real partitions: what becomes of each, and of the one transform."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flows.console.progress import Reporter
from flows.orchestration import backfill_steps as steps
from flows.orchestration.backfill_steps import Backfill, PartitionOfBackfill
from flows.process.child import StepStopped
from flows.records.backfill_record import read_backfill, read_backfills
from flows.records.log import BackfillLog
from flows.steps import shard_steps
from flows.steps.backfill import partitions_between, partitions_of_source, training_sets
from flows.steps.processes import Processes
from transforms.contract.declaration.parsing import parse
from transforms.contract.workspace.layout import Workspace

_SCHEMA = pa.schema({"id": pa.string(), "area": pa.float64(), "sold": pa.int64()})


def _pipeline(folder: Path, **source):
    return parse(
        {
            "name": "flats",
            "source": {"path": str(folder), "key": "id", "partition_by": "day"} | source,
            "features": {"area": {"kind": "numeric", "missing": "reject"}},
            "targets": {"sold": {"kind": "binary"}},
        }
    )


def _write(folder: Path, day: str, first_key: int = 0, rows: int = 40) -> Path:
    path = folder / f"day={day}" / "a.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = range(first_key, first_key + rows)
    columns = {
        "id": [f"k{key}" for key in keys],
        "area": [None if key % 20 == 0 else float(key) for key in keys],
        "sold": [key % 2 for key in keys],
    }
    pq.write_table(pa.table(columns, schema=_SCHEMA), path)
    return path


def _open(pipeline, workspace: Workspace, train="once", **bounds) -> Backfill:
    first, last = bounds.get("first"), bounds.get("last")
    partitions = partitions_between(partitions_of_source(pipeline), first, last)
    record = steps.open_record(pipeline, workspace, partitions, workers=2, train=train)
    reporter = Reporter(Console(file=io.StringIO(), width=200))
    folder = workspace.backfills(pipeline.name) / record.backfill_id
    processes = Processes(folder, reporter)
    return Backfill(
        pipeline, workspace, partitions, processes, BackfillLog(folder, record, reporter)
    )


def _told(backfill: Backfill) -> str:
    return backfill.log.reporter.console.file.getvalue()


def _trainings(backfill: Backfill, everything) -> list[list[str]]:
    names = [partition.name for partition in backfill.partitions]
    work, train = backfill.work_on(backfill.partitions), backfill.log.record.train
    return [[p.name for p in chosen] for chosen in training_sets(work, train, names, everything)]


def _transform(backfill: Backfill) -> None:
    with backfill.holding(), backfill.log.reporter.steps() as shown:
        for partition in backfill.pending():
            steps.transform_partition(PartitionOfBackfill(backfill, partition, shown))


@pytest.fixture
def days(tmp_path) -> Path:
    for day in ("2", "9", "10", "11"):
        _write(tmp_path / "data", day, first_key=100 * int(day))
    return tmp_path / "data"


def test_partitions_that_cannot_be_used_fail_before_the_analysis_and_the_others_go_on(days):
    (days / "day=9" / "a.parquet").write_text("not a table")
    _write(days, "10", first_key=0)
    _write(days, "11", first_key=1000, rows=0)
    twice = pq.read_table(days / "day=10" / "a.parquet")
    pq.write_table(pa.concat_tables([twice, twice]), days / "day=10" / "a.parquet")
    backfill = _open(_pipeline(days), Workspace(days.parent / "workspace"))
    steps.check_partitions(backfill)
    assert [partition.name for partition in backfill.pending()] == ["day=2", "day=11"]
    corrupt, shared = backfill.log.record.failed()
    assert corrupt.error.place.endswith("day=9/a.parquet")
    assert corrupt.error.expected == "a whole Parquet file"
    assert "twice" in shared.error.received
    assert read_backfill(backfill.log.folder).failed() == [corrupt, shared]
    assert "✗ day=9" in _told(backfill)


def test_one_transform_for_all_is_kept_when_what_failed_is_repaired(tmp_path):
    """Corruption that only the analysis meets: the footer and the keys of day=2 are whole."""
    for day in (1, 2, 3):
        _write(tmp_path / "data", str(day), first_key=100 * day)
    damaged = tmp_path / "data" / "day=2" / "a.parquet"
    content = damaged.read_bytes()
    column = pq.read_metadata(damaged).row_group(0).column(1)
    start = column.dictionary_page_offset or column.data_page_offset
    damaged.write_bytes(
        content[:start]
        + b"\xff" * column.total_compressed_size
        + content[start + column.total_compressed_size :]
    )
    pipeline, workspace = _pipeline(tmp_path / "data"), Workspace(tmp_path / "workspace")

    first = _open(pipeline, workspace)
    steps.check_partitions(first)
    steps.freeze(first)
    assert [part.name for part in first.log.record.failed()] == ["day=2"]
    assert set(workspace.read_transform(first.transform).partitions) == {"day=1", "day=3"}
    _transform(first)
    assert first.log.record.counts() == "2 done, 1 failed"
    assert [(p.rows, p.rejected) for p in first.log.record.partitions] == [
        (40, 2),
        (None, None),
        (40, 2),
    ]

    damaged.write_bytes(content)
    second = _open(pipeline, workspace)
    assert second.log.record.counts() == "2 skipped, 1 pending"
    assert "committed" in second.log.record.partition("day=1").note
    steps.check_partitions(second)
    steps.freeze(second)
    assert second.transform == first.transform
    _transform(second)
    assert second.log.record.counts() == "1 done, 2 skipped"
    assert not list(workspace.root.rglob(".tmp-*"))

    # What is outside the range, but committed and in the source, is trained on too.
    everything = partitions_of_source(pipeline)
    last = _open(pipeline, workspace, first="3")
    assert _trainings(last, everything) == [["day=1", "day=2", "day=3"]]
    each = _open(pipeline, workspace, train="each", first="2")
    assert _trainings(each, everything) == [
        ["day=1", "day=2"],
        ["day=1", "day=2", "day=3"],
    ]
    assert _trainings(_open(pipeline, workspace, train="none"), everything) == []
    assert len(read_backfills(workspace, "flats")) == 5


def test_a_backfill_that_is_stopped_starts_no_partition(days):
    backfill = _open(_pipeline(days), Workspace(days.parent / "workspace"))
    backfill.processes.stopping.set()
    with backfill.log.reporter.steps() as shown, pytest.raises(StepStopped):
        steps.transform_partition(PartitionOfBackfill(backfill, backfill.partitions[0], shown))
    assert backfill.log.record.counts() == "4 pending"


def test_a_partition_that_fails_by_a_bug_is_recorded_and_told(days, monkeypatch):
    def broken(*_):
        raise RuntimeError("column 7")

    monkeypatch.setattr(shard_steps, "transform", broken)
    workspace = Workspace(days.parent / "workspace")
    backfill = _open(_pipeline(days), workspace, last="9")
    backfill.log.record.transform = "t"
    first, second = backfill.partitions
    with (
        backfill.log.reporter.steps() as shown,
        pytest.raises(RuntimeError, match="column 7"),
    ):
        steps.transform_partition(PartitionOfBackfill(backfill, first, shown))
    (failed,) = read_backfill(backfill.log.folder).failed()
    assert failed.name == "day=2"
    assert failed.error.received == "column 7"
    assert "BRAID_DEBUG=1" in failed.error.action
    assert backfill.pending() == (second,)
    assert "✗ day=2" in _told(backfill)
