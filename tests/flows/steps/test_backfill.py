"""The partitions and the transform that a backfill takes, and its record when one fails."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flows.console.progress import Reporter
from flows.orchestration import backfill_steps as steps
from flows.orchestration.backfill_steps import Backfill, PartitionOfBackfill
from flows.process.child import StepStopped
from flows.records.backfill_record import (
    BackfillRecord,
    PartitionRecord,
    read_backfill,
    read_backfills,
)
from flows.records.kept import now
from flows.records.log import BackfillLog
from flows.records.record import pipelines
from flows.report.backfill_report import backfills_table, markdown, show_backfill
from flows.steps.backfill import partitions_between, partitions_of_source, training_sets
from flows.steps.processes import Processes
from transforms.contract.declaration.parsing import parse
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock

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


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, ["day=2", "day=9", "day=10", "day=11"]),
        ("9", "10", ["day=9", "day=10"]),
        ("10", None, ["day=10", "day=11"]),
        (None, "9", ["day=2", "day=9"]),
        ("day=9", "9", ["day=9"]),
    ],
)
def test_both_bounds_belong_to_the_range_and_may_be_left_out(days, first, last, expected):
    everything = partitions_of_source(_pipeline(days))
    assert len(everything) == 4
    chosen = partitions_between(everything, first, last)
    assert [partition.name for partition in chosen] == expected


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("12", None, "day=2 to day=11, received 12 to the last, where there is none"),
        ("11", "2", "received 11 to 2, where there is none"),
        ("May", None, r"expected a number, .* received 'May'"),
    ],
)
def test_a_range_that_is_not_there_is_refused(days, first, last, message):
    with pytest.raises(BraidError, match=message):
        partitions_between(partitions_of_source(_pipeline(days)), first, last)


def test_windows_are_no_partitions(days):
    windows = {"time": "t", "length": 3, "values": ["sales"]}
    pipeline = parse(
        {
            "name": "w",
            "source": {"path": str(days), "key": "id", "windows": windows},
            "split": {"by": "time", "column": "t", "validation_from": 5, "test_from": 7},
            "features": {"sales": {"kind": "sequence", "length": 3}},
            "targets": {"sales_next_1": {"kind": "numeric"}},
        }
    )
    with pytest.raises(DeclarationError, match="windows, which are cut from the whole table"):
        partitions_of_source(pipeline)


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


def _record(**changes) -> BackfillRecord:
    error = BraidError("[x].parquet", expected="a", received="[/b] c", action="Mend it.")
    values = {
        "backfill_id": "b1",
        "pipeline": "flats",
        "status": "failed",
        "pid": os.getpid(),
        "started": now(),
        "workers": 2,
        "train": "once",
        "partitions": [
            PartitionRecord(name="day=1", fingerprint="f", status="done", rows=1234, rejected=5),
            PartitionRecord(
                name="day=2", fingerprint="f", status="failed", error=ErrorReport.of(error)
            ),
        ],
    }
    return BackfillRecord.model_validate(values | changes)


def test_the_summary_says_what_failed_where_and_what_to_do():
    output = io.StringIO()
    show_backfill(Console(file=output, width=200), _record())
    text = output.getvalue()
    for part in ("1 done, 1 failed", "1,234", "[x].parquet", "[/b] c", "Mend it."):
        assert part in text
    assert "Nothing was trained, as partitions failed" in text
    assert r"| day=2 | failed | - | - | - | \[x\].parquet |" in markdown(_record())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": "none"}, "as --train none says"),
        ({"runs": ["r1"], "trained": "promoted"}, "Run r1 trained on what is committed: promoted"),
        ({"runs": ["r1", "r2"], "trained": "refused"}, "2 runs trained, the last one is r2"),
        ({}, "The training did not end"),
    ],
)
def test_the_summary_says_what_was_trained(changes, sentence):
    done = [PartitionRecord(name="day=1", fingerprint="f", status="done")]
    assert sentence in markdown(_record(partitions=done, **changes))


def test_a_killed_backfill_is_told_from_one_that_goes_on(tmp_path):
    workspace = Workspace(tmp_path)

    def listed() -> str:
        output = io.StringIO()
        table = backfills_table(workspace, [_record(status="running")])
        Console(file=output, width=200).print(table)
        return output.getvalue()

    assert "killed" in listed()
    with exclusive_lock(workspace.lock("run", "flats"), holder="flats"):
        assert "running" in listed()


def test_a_pipeline_that_was_only_backfilled_is_listed(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.backfills("flats").mkdir(parents=True)
    workspace.runs("other").mkdir(parents=True)
    assert pipelines(workspace) == ["flats", "other"]
