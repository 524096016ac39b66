"""Analysis and transform of the mixed table against the textbook TFT script and the bare loop.

    python -m tests.benchmarks.etl [ROWS] [CONTESTANT ...]

At several numbers of rows, what a row costs more says whether the cost is linear.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import COLUMNS, Cost, details, lines, measured, run_braid
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.benchmarks.report import Report

REPEATS = 3
ROWS = 50_000
BARE, TEXTBOOK = "the bare loop", "the textbook script"


def _braid(table: Path, scratch: Path) -> dict[str, Cost]:
    steps = run_braid(PIPELINE.format(path=table), scratch)
    return {f"braid {name}": cost for name, cost in steps.items()} | {
        "braid": reduce(Cost.plus, steps.values())
    }


def _script(name: str, module: str) -> Callable[[Path, Path], dict[str, Cost]]:
    arguments = [f"tests.benchmarks.{module}"]
    return lambda table, scratch: {name: measured([*arguments, str(table), str(scratch)])}


CONTESTANTS = {
    BARE: _script(BARE, "bare_loop"),
    TEXTBOOK: _script(TEXTBOOK, "textbook_tft"),
    "braid": _braid,
}


def main(rows: int, contestants: list[str]) -> None:
    """Runs every contestant in turn, several times, and reports medians."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "mixed.parquet"
        write_mixed_table(table, rows)
        for _ in range(REPEATS):
            for name in contestants:
                with tempfile.TemporaryDirectory() as scratch:
                    for part, cost in CONTESTANTS[name](table, Path(scratch)).items():
                        costs.setdefault(part, []).append(cost)
    ratios = {
        other: median(
            theirs.seconds / ours.seconds
            for ours, theirs in zip(costs["braid"], costs[other], strict=True)
        )
        for other in contestants
        if other != "braid"
    }
    command = f"python -m tests.benchmarks.etl {rows}"
    Report(
        title=f"ETL of {rows:,} mixed rows with a 96x96 JPEG each",
        command=command,
        columns=COLUMNS,
        lines=lines(costs, rows),
        sentences=[
            *(f"Braid is {ratio:.2f} times as fast as {name}." for name, ratio in ratios.items()),
            "Rows/s and the first CPU time leave the imports out.",
        ],
        details=details(costs),
    ).keep("etl" if rows == ROWS else f"etl_{rows}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS, sys.argv[2:] or [*CONTESTANTS])
