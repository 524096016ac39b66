"""What more rows cost, and more partitions: whether time is linear in them, and memory flat.

    python -m tests.benchmarks.growth [ROWS]

The cost of a row is what a table takes beyond a smaller one: Braid beyond the smallest, which is
its start, and the bare loop beyond the middle one, from which on the two are compared.
"""

from __future__ import annotations

import sys
import tempfile
from functools import reduce
from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import Cost, details, measured, run_braid
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.benchmarks.report import Report

REPEATS = 3
LARGEST = 500_000
_START, _SMALL, _MIDDLE = 1_000, 10_000, 50_000
_FILES = 100  # a partition each, together as many rows as the middle table
_MANY = f"braid, {_MIDDLE:,} rows in {_FILES} files"


def main(largest: int) -> None:
    """Runs every size in turn, several times, and reports medians."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        tables = _tables(Path(name), largest)
        for _ in range(REPEATS):
            for what, table in tables.items():
                with tempfile.TemporaryDirectory() as scratch:
                    costs.setdefault(what, []).append(_cost(what, table, Path(scratch)))
    _report(costs, largest).keep("growth")


def _tables(folder: Path, largest: int) -> dict[str, Path]:
    """Writes the tables and returns them by what is to be measured."""
    tables = {}
    for rows in (_START, _SMALL, _MIDDLE, largest):
        tables[_braid(rows)] = folder / f"{rows}.parquet"
        write_mixed_table(tables[_braid(rows)], rows)
    tables |= {_bare(rows): tables[_braid(rows)] for rows in (_MIDDLE, largest)}
    tables[_MANY] = folder / "files"
    tables[_MANY].mkdir()
    for index in range(_FILES):
        write_mixed_table(tables[_MANY] / f"{index}.parquet", _MIDDLE // _FILES, seed=index)
    return tables


def _braid(rows: int) -> str:
    return f"braid, {rows:,} rows"


def _bare(rows: int) -> str:
    return f"the bare loop, {rows:,} rows"


def _cost(what: str, table: Path, scratch: Path) -> Cost:
    if what.startswith("braid"):
        return reduce(Cost.plus, run_braid(PIPELINE.format(path=table), scratch).values())
    return measured(["tests.benchmarks.bare_loop", str(table), str(scratch)])


def _report(costs: dict[str, list[Cost]], largest: int) -> Report:
    seconds = {what: median(cost.seconds for cost in found) for what, found in costs.items()}
    cpu = {what: median(cost.cpu_seconds for cost in found) for what, found in costs.items()}
    peak = {what: max(cost.peak_mb for cost in found) for what, found in costs.items()}

    def rate(larger: str, smaller: str, rows: int) -> float:
        return rows / (seconds[larger] - seconds[smaller])

    compared = [
        (_braid(rows), _braid(_START), rows - _START) for rows in (_SMALL, _MIDDLE, largest)
    ]
    compared.append((_braid(largest), _braid(_MIDDLE), largest - _MIDDLE))
    compared.append((_bare(largest), _bare(_MIDDLE), largest - _MIDDLE))
    lines = [
        (
            f"{larger}, beyond {smaller.rpartition(', ')[2]}",
            f"{seconds[larger]:.1f}",
            f"{rate(larger, smaller, rows):,.0f}",
            f"{(cpu[larger] - cpu[smaller]) / rows * 1e6:.1f}",
            f"{peak[larger]:,.0f}",
        )
        for larger, smaller, rows in compared
    ]
    share = rate(*compared[-2]) / rate(*compared[-1])
    memory = peak[_braid(largest)] / peak[_braid(_MIDDLE)]
    return Report(
        title="What more rows of the mixed table cost, and more partitions",
        command=f"python -m tests.benchmarks.growth {largest}",
        columns=("", "seconds", "more rows/s", "CPU µs per more row", "peak MB"),
        lines=lines,
        sentences=[
            f"The rows beyond {_MIDDLE:,} come at {share:.2f} of the bare loop's rows/s, and the "
            f"memory is {memory:.2f} times that of {_MIDDLE:,} rows.",
            f"{_MIDDLE:,} rows take {seconds[_MANY]:.1f} s in {_FILES} partitions, and "
            f"{seconds[_braid(_MIDDLE)]:.1f} s in one.",
        ],
        details=details(costs),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LARGEST)
