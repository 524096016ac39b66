from __future__ import annotations

import os

import pytest
from rich.console import Console

from flows.records.backfill_record import BackfillRecord, PartitionRecord
from flows.report.backfill_report import backfills_table, markdown, show_backfill
from tests.support.records import backfill_record
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock


@pytest.mark.parametrize(("count", "words"), [(1, "1 partition"), (2, "2 partitions")])
def test_a_single_partition_is_told_in_the_singular(count, words):
    parts = [PartitionRecord(name=f"{n}", fingerprint="f", status="done") for n in range(count)]
    record = backfill_record(partitions=parts, workers=count)
    console = Console(record=True, width=100)
    show_backfill(console, record)
    assert f"flats: {words}: {count} done\n" in console.export_text()
    assert f"{words} at once, transform `none`" in markdown(record)


def test_how_the_training_ended_is_told_of_its_run():
    assert "Run r1 trained on what is committed: refused." in markdown(
        backfill_record(train="once", runs=["r1"], outcome="refused")
    )


def _failed(**changes) -> BackfillRecord:
    """Returns the record of a backfill of two days, the second of which failed."""
    error = BraidError("[x].parquet", expected="a", received="[/b] c", action="Mend it.")
    first = PartitionRecord(name="day=1", fingerprint="f", status="done", rows=1234, rejected=5)
    second = PartitionRecord(
        name="day=2", fingerprint="f", status="failed", error=ErrorReport.of(error)
    )
    values = {"status": "failed", "train": "once", "partitions": [first, second]}
    return backfill_record(**values | changes)


def _printed(show) -> str:
    console = Console(record=True, width=200)
    show(console)
    return console.export_text()


def test_the_summary_says_what_failed_where_and_what_to_do():
    text = _printed(lambda console: show_backfill(console, _failed()))
    for part in ("1 done, 1 failed", "1,234", "[x].parquet", "[/b] c", "Mend it."):
        assert part in text
    assert "Nothing was trained, as partitions failed" in text
    assert r"| day=2 | failed | - | - | - | \[x\].parquet |" in markdown(_failed())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": "none"}, "as --train none says"),
        ({"runs": ["r1", "r2"], "outcome": "refused"}, "2 runs trained, the last one is r2"),
        ({}, "The training did not end"),
    ],
)
def test_the_summary_says_what_was_trained(changes, sentence):
    done = [PartitionRecord(name="day=1", fingerprint="f", status="done")]
    assert sentence in markdown(_failed(partitions=done, **changes))


def test_a_killed_backfill_is_told_from_one_that_goes_on(tmp_path):
    workspace, record = Workspace(tmp_path), _failed(status="running", pid=os.getpid())

    def listed() -> str:
        return _printed(lambda console: console.print(backfills_table(workspace, [record])))

    assert "killed" in listed()
    with exclusive_lock(workspace.lock("run", "flats"), holder="flats"):
        assert "running" in listed()
