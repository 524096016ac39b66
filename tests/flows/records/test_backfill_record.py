from __future__ import annotations

from flows.records.backfill_record import RECORD_FILE, read_backfill
from flows.records.kept import write_kept
from tests.support.records import backfill_record


def test_how_the_training_of_an_older_versions_backfill_ended_is_read(tmp_path):
    write_kept(tmp_path / RECORD_FILE, backfill_record(trained="refused"))
    assert read_backfill(tmp_path).outcome == "refused"
    assert '"outcome": "refused"' in (tmp_path / RECORD_FILE).read_text()
