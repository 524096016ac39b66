"""The ETL of tables without pictures.

    python -m tests.benchmarks.tabular [ROWS]     10 numbers, 5 categories, one of 1 million values
    python -m tests.benchmarks.tabular wide [ROWS]     500 numbers, 50 categories

Prints a line for analysis and transform each and writes `results/tabular.json` or `wide.json`.
"""

from __future__ import annotations

import sys
import tempfile
from functools import reduce
from pathlib import Path

from tests.benchmarks.columns_table import declaration, write_columns_table
from tests.benchmarks.measuring import Cost, keep, run_braid, show

REPEATS = 3
_TABULAR = (10, {"many": 1_000_000, "c0": 10, "c1": 100, "c2": 1_000, "c3": 10_000})
_WIDE = (500, {f"c{i}": 100 for i in range(50)})


def main(name: str, rows: int, numeric: int, categorical: dict[str, int]) -> None:
    """Runs it several times and reports medians."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.parquet"
        write_columns_table(table, rows, numeric, categorical)
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory() as scratch:
                steps = run_braid(declaration(table, numeric, categorical), Path(scratch))
            for step, cost in (steps | {"in all": reduce(Cost.plus, steps.values())}).items():
                costs.setdefault(step, []).append(cost)
    show(costs, rows)
    keep(name, rows, costs, columns=numeric + len(categorical))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    wide = arguments[:1] == ["wide"]
    given = arguments[wide:]
    if wide:
        main("wide", int(given[0]) if given else 20_000, *_WIDE)
    else:
        main("tabular", int(given[0]) if given else 1_000_000, *_TABULAR)
