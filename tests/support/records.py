"""Records of runs and backfills, of which a test says only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flows.records.backfill_record import BackfillRecord
from flows.records.record import RunRecord

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def run_record(**values: Any) -> RunRecord:
    """Returns the record of a run of the pipeline `flats`, with some of its fields replaced."""
    usual = {
        "run_id": "20260101T000000Z-abcdef",
        "pipeline": "flats",
        "pid": 1,
        "started": STARTED,
        "braid_version": "0.1.0",
        "identity": "i",
        "judgement": "j",
        "transform": "t",
        "data_fingerprint": "d",
        "training_fingerprint": "f",
        "partitions": {"all": "p"},
    }
    return RunRecord(**usual | values)


def backfill_record(**values: Any) -> BackfillRecord:
    """Returns the record of a backfill of `flats`, with some of its fields replaced."""
    usual = {
        "backfill_id": "b",
        "pipeline": "flats",
        "pid": 1,
        "started": STARTED,
        "workers": 1,
        "train": "none",
        "partitions": [],
    }
    return BackfillRecord(**usual | values)
