"""Backfills of one pipeline that are started at once on a server."""

from __future__ import annotations

import json

from tests.server.conftest import has_ended
from tests.server.flats import DAYS, Flats
from tests.support.command import until
from tests.support.data_set import data_set


def test_two_backfills_at_once_do_the_work_once(cluster, prefect, scheduled, flats, tmp_path):
    filled = Flats(tmp_path, "filled", cluster.mlflow)
    cluster.braid("deploy", str(filled.declaration))
    both = [prefect.start("braid-backfill", "filled", train="none") for _ in range(2)]
    until(lambda: all(has_ended(prefect.flow_run(run)) for run in both), seconds=600, step=0.5)
    assert [prefect.flow_run(run)["state_type"] for run in both] == ["COMPLETED"] * 2
    files = sorted((filled.workspace / "backfills" / "filled").glob("*/backfill.json"))
    records = [json.loads(file.read_text()) for file in files]
    assert [[part["status"] for part in record["partitions"]] for record in records] == [
        ["done"] * DAYS,
        ["skipped"] * DAYS,
    ]
    assert scheduled["state_type"] == "COMPLETED"
    assert data_set(filled.workspace) == data_set(flats.workspace)
