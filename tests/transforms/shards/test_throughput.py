"""No timing: what a row costs the transform, in units of what a bare loop takes for its picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.bare_loop import bare_loop
from tests.benchmarks.measuring import cpu_seconds, job_of
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from transforms.analysis.freeze import analyze
from transforms.shards.transform import transform

FEW, MANY = 500, 4_500
BOUND = 2.7  # 1.35 to 1.8 were measured on two busy cores


def test_a_row_costs_a_small_multiple_of_decoding_its_picture(tmp_path: Path) -> None:
    jobs, tables = {}, {}
    for rows in (FEW, MANY):
        tables[rows] = tmp_path / f"{rows}.parquet"
        write_mixed_table(tables[rows], rows)
        jobs[rows] = job_of(PIPELINE.format(path=tables[rows]), tmp_path)
    analyze(jobs[FEW].model_dump_json())
    frozen = {"transform": jobs[FEW].transform}

    def added_by_rows(work: Callable[[int], object]) -> float:
        """Returns the CPU seconds of many rows beyond those of a few."""
        seconds = {}
        for rows in (FEW, MANY):
            before = cpu_seconds()
            work(rows)
            seconds[rows] = cpu_seconds() - before
        return seconds[MANY] - seconds[FEW]

    bare = added_by_rows(lambda rows: bare_loop(tables[rows], tmp_path))
    whole = added_by_rows(
        lambda rows: transform(jobs[rows].model_copy(update=frozen).model_dump_json())
    )
    assert whole / bare < BOUND, f"{whole / bare:.2f}"
