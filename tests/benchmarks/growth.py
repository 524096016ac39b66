"""The cost of more rows and partitions: whether time is linear in them, and memory flat.

    python -m tests.benchmarks.growth [ROWS]

ROWS are those of the largest table, 500,000 or 1,000,000; the latter takes 40 GB of disk. The cost
of a row is what a table takes beyond a smaller one: Braid beyond the smallest, which is its start,
and both Braid and the bare loop from 50,000 rows to 500,000.
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
_START = 1_000
_SIZES = (10_000, 50_000, 100_000, 500_000, 1_000_000)
_COMPARED = (50_000, 500_000)  # with the bare loop
_FILES = 100  # a partition each, together as many rows as the first that are compared
_BRAID, _BARE, _MANY = "braid", "the bare loop", "braid, in many partitions"


def main(largest: int) -> None:
    """Runs every size in turn, several times, and reports medians."""
    if largest not in _SIZES[_SIZES.index(_COMPARED[1]) :]:
        raise SystemExit("ROWS: expected 500000 or 1000000")
    sizes = [rows for rows in _SIZES if rows <= largest]
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        for contestant, rows, table in _runs(Path(name), sizes) * REPEATS:
            with tempfile.TemporaryDirectory() as scratch:
                cost = _cost(contestant, table, Path(scratch))
            costs.setdefault(_title(contestant, rows), []).append(cost)
    _report(costs, sizes).keep("growth")


def _runs(folder: Path, sizes: list[int]) -> list[tuple[str, int, Path]]:
    """Writes the tables; returns who is to take how many rows, and from where."""
    tables = {rows: folder / f"{rows}.parquet" for rows in (_START, *sizes)}
    for rows, table in tables.items():
        write_mixed_table(table, rows)
    many = folder / "files"
    many.mkdir()
    for index in range(_FILES):
        write_mixed_table(many / f"{index}.parquet", _COMPARED[0] // _FILES, seed=index)
    runs = [(_BRAID, rows, table) for rows, table in tables.items()]
    runs += [(_BARE, rows, tables[rows]) for rows in _COMPARED]
    return [*runs, (_MANY, _COMPARED[0], many)]


def _title(contestant: str, rows: int) -> str:
    return f"{contestant}, {rows:,} rows"


def _cost(contestant: str, table: Path, scratch: Path) -> Cost:
    if contestant == _BARE:
        return measured(["tests.benchmarks.bare_loop", str(table), str(scratch)])
    return reduce(Cost.plus, run_braid(PIPELINE.format(path=table), scratch).values())


def _report(costs: dict[str, list[Cost]], sizes: list[int]) -> Report:
    seconds = {what: median(cost.seconds for cost in trials) for what, trials in costs.items()}
    cpu = {what: median(cost.cpu_seconds for cost in trials) for what, trials in costs.items()}
    peak = {what: max(cost.peak_mb for cost in trials) for what, trials in costs.items()}

    def rate(contestant: str, rows: int, beyond: int) -> float:
        larger, smaller = _title(contestant, rows), _title(contestant, beyond)
        return (rows - beyond) / (seconds[larger] - seconds[smaller])

    def line(contestant: str, rows: int, beyond: int) -> tuple[str, ...]:
        larger, smaller = _title(contestant, rows), _title(contestant, beyond)
        return (
            f"{larger}, beyond {beyond:,}",
            f"{seconds[larger]:.1f}",
            f"{rate(contestant, rows, beyond):,.0f}",
            f"{(cpu[larger] - cpu[smaller]) / (rows - beyond) * 1e6:.1f}",
            f"{peak[larger]:,.0f}",
        )

    few, most = _COMPARED
    share = rate(_BRAID, most, few) / rate(_BARE, most, few)
    memory = peak[_title(_BRAID, most)] / peak[_title(_BRAID, few)]
    lines = [line(_BRAID, rows, _START) for rows in sizes]
    lines += [line(contestant, most, few) for contestant in (_BRAID, _BARE)]
    return Report(
        title="What more rows of the mixed table cost, and more partitions",
        command=f"python -m tests.benchmarks.growth {sizes[-1]}",
        columns=("", "seconds", "more rows/s", "CPU µs per more row", "peak MB"),
        lines=lines,
        sentences=[
            f"The rows from {few:,} to {most:,} come at {share:.2f} of the bare loop's rows/s, "
            f"and the memory is {memory:.2f} times that of {few:,} rows.",
            f"{few:,} rows take {seconds[_title(_MANY, few)]:.1f} s in {_FILES} partitions, and "
            f"{seconds[_title(_BRAID, few)]:.1f} s in one.",
        ],
        details=details(costs),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _SIZES[-1])
