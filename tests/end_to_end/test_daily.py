"""A day that is added to a month of the demo: about two minutes."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.daily import DAYS, DailyDemo, etl_steps

pytestmark = pytest.mark.slow


def _files(workspace: Path) -> dict[Path, tuple[int, int]]:
    files = [
        path for kind in ("shards", "rejects", "statistics", "keys", "transforms")
        for path in (workspace / kind).rglob("*") if path.is_file()
    ]  # fmt: skip
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_of_a_month_and_a_day_only_the_day_is_read_and_written(tmp_path: Path) -> None:
    demo = DailyDemo(tmp_path / "demo")
    for day in range(DAYS - 1):
        demo.add(day)
    demo.run()
    before = _files(demo.workspace)
    demo.blank()
    with pytest.raises(OSError, match="Deserializing page header failed"):
        pq.read_table(next((tmp_path / "demo" / "data").glob("*/*.parquet")), partitioning=None)

    rows = demo.add(DAYS - 1)
    steps = etl_steps(demo.run())
    assert steps["check keys"]["note"].endswith("every key once; reads 1")
    assert steps["measure drift"]["rows"] < rows, "the training rows of one day"
    assert steps["measure drift"]["note"].endswith("reads 1 of 1 new partition")
    assert steps["analyze"]["rows"] is None
    assert "no refit, drift" in steps["analyze"]["note"]
    assert steps["transform"]["rows"] == rows
    assert steps["transform"]["note"] == f"reuses {DAYS - 1} of {DAYS} partitions"
    after = _files(demo.workspace)
    assert {path: after.get(path) for path in before} == before, "nothing is written again"
    written = [path.relative_to(demo.workspace) for path in after.keys() - before.keys()]
    kinds = {path.parts[0] for path in written}
    assert {"shards", "statistics", "keys"} <= kinds <= {"shards", "statistics", "keys", "rejects"}
    assert all("day=2026-01-31@" in str(path) for path in written)
