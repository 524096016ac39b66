"""Analysis and transform of the mixed table against the textbook TFT script and the bare loop.

    python -m tests.benchmarks.etl [ROWS] [CONTESTANT ...]

Prints one line a contestant and writes `tests/benchmarks/results/etl_ROWS.json`. At several
numbers of rows, what a row costs more says whether the cost is linear.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import Cost, keep, measured, run_braid, show
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table

REPEATS = 3


def _braid(table: Path, scratch: Path) -> dict[str, Cost]:
    steps = run_braid(PIPELINE.format(path=table), scratch)
    return {f"braid {name}": cost for name, cost in steps.items()} | {
        "braid": reduce(Cost.plus, steps.values())
    }


def _script(name: str) -> Callable[[Path, Path], dict[str, Cost]]:
    module = f"tests.benchmarks.{name}"
    return lambda table, scratch: {name: measured([module, str(table), str(scratch)])}


CONTESTANTS = {
    "bare_loop": _script("bare_loop"),
    "textbook_tft": _script("textbook_tft"),
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
    show(costs, rows)
    ratios = {
        other: median(
            theirs.seconds / ours.seconds
            for ours, theirs in zip(costs["braid"], costs[other], strict=True)
        )
        for other in contestants
        if other != "braid"
    }
    for other, ratio in ratios.items():
        sys.stdout.write(f"braid is {ratio:.2f} times as fast as {other}\n")
    keep(f"etl_{rows}", rows, costs, ratios=ratios)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000, sys.argv[2:] or [*CONTESTANTS])
