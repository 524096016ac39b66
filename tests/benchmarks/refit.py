"""The cost of a refit after one more partition, by how many there are.

`python -m tests.benchmarks.refit` takes a minute.

A refit reads the new partition, merges the statistics of all, and freezes a graph. What it costs
more with 365 partitions than with 3 is the merge.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.report import Report
from tests.support.jobs import transform_job
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.results import AnalyzeResult

_COUNTS = (3, 365)
_ROWS = 200  # a partition
_RUNS = 3


def main() -> None:
    """Reports the seconds of a refit after one new partition, by how many there are."""
    runs: dict[int, list[AnalyzeResult]] = {}
    for count in _COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            runs[count] = [_refit(Path(folder), count + run) for run in range(_RUNS + 1)][1:]
    seconds = {
        count: statistics.median(result.seconds for result in results)
        for count, results in runs.items()
    }
    few, many = seconds.values()
    Report(
        title=f"A refit after one new partition of {_ROWS} rows",
        command="python -m tests.benchmarks.refit",
        columns=("partitions that are there", "seconds", "partitions read"),
        lines=[
            (str(count), f"{seconds[count]:.2f}", str(max(each.partitions for each in results)))
            for count, results in runs.items()
        ],
        sentences=[f"{many - few:.2f} s more, {many / few:.2f} times."],
        details={
            str(count): [each.model_dump() for each in results] for count, results in runs.items()
        },
    ).keep("refit")


def _refit(folder: Path, count: int) -> AnalyzeResult:
    """Makes sure that there are `count` partitions, and analyzes them."""
    for day in range(count):
        _write_partition(folder / "data" / f"day={day:04d}" / "rows.parquet", day)
    pipeline = parse(
        {
            "name": "refit",
            "source": {"path": str(folder / "data"), "key": "id", "partition_by": "day"},
            "features": {
                "city": {"kind": "categorical"},
                "price": {"kind": "numeric"},
                "rank": {"kind": "numeric", "scale": "quantile"},
                "review": {"kind": "text"},
            },
            "targets": {"sold": {"kind": "binary"}},
        }
    )
    return analyze(transform_job(pipeline, folder / "workspace").model_dump_json())


def _write_partition(path: Path, day: int) -> None:
    if path.exists():
        return
    random = np.random.default_rng(day)
    words = [f"word{number}" for number in range(2_000)]
    path.parent.mkdir(parents=True)
    table = {
        "id": [f"{day}-{row}" for row in range(_ROWS)],
        "city": random.choice(words[:50], _ROWS),
        "price": random.normal(size=_ROWS),
        "rank": random.normal(size=_ROWS),
        "review": [" ".join(random.choice(words, 10)) for _ in range(_ROWS)],
        "sold": random.random(_ROWS) < 0.5,
    }
    pq.write_table(pa.table(table), path)


if __name__ == "__main__":
    main()
