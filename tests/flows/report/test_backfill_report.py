from __future__ import annotations

import pytest
from rich.console import Console

from flows.records.backfill_record import PartitionRecord
from flows.report.backfill_report import markdown, show_backfill
from tests.support.records import backfill_record


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
