"""The ETL of tables without pictures.

python -m tests.benchmarks.tabular [ROWS]     10 numbers, 5 categories, one of 1 million values
python -m tests.benchmarks.tabular wide [ROWS]     500 numbers, 50 categories
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import reduce
from pathlib import Path
from statistics import median

from tests.benchmarks.columns_table import declaration, write_columns_table
from tests.benchmarks.measuring import COLUMNS, Cost, details, lines, run_braid
from tests.benchmarks.report import Report

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
    kinds = f"{numeric} numbers and {len(categorical)} categories"
    argument = "wide " if name == "wide" else ""
    seconds = median(cost.seconds for cost in costs["in all"])
    cells = rows * (numeric + len(categorical)) / seconds / (os.cpu_count() or 1)
    most = max(categorical.values())
    Report(
        title=f"ETL of {rows:,} rows of {kinds}",
        command=f"python -m tests.benchmarks.tabular {argument}{rows}",
        columns=COLUMNS,
        lines=lines(costs, rows),
        sentences=[
            f"{cells:,.0f} cells a second and core.",
            f"A category has up to {most:,} distinct values.",
        ],
        details=details(costs),
    ).keep(name)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    wide = arguments[:1] == ["wide"]
    given = arguments[wide:]
    if wide:
        main("wide", int(given[0]) if given else 100_000, *_WIDE)
    else:
        main("tabular", int(given[0]) if given else 5_000_000, *_TABULAR)
