"""The time of a training with the defaults, of a census-like table: 7 numbers, 6 categories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.quality_runs import train_seconds, trained
from tests.benchmarks.report import Report

ROWS = 33_000
_TO_REACH = 90  # seconds of the train step
_NUMBERS = ("age", "weight", "education_years", "hours", "gain", "loss", "dividends")
_MOSTLY_ZERO = ("gain", "loss", "dividends")
_ZEROS = 0.92
_CATEGORIES = {"work": 9, "education": 16, "marital": 7, "job": 14, "relation": 6, "country": 42}


def measure(rows: int, folder: Path) -> Report:
    """Trains once on a generated table of so many rows, and reports the train step.

    Raises:
        RunFailed: The run ended without a model.
    """
    table, declaration = folder / "census.parquet", folder / "pipeline.yaml"
    pq.write_table(_census(rows), table)
    declaration.write_text(_declaration(table))
    record = trained(declaration, [], folder / "run.log")
    training = record.training
    assert training is not None
    steps = training.steps
    seconds = train_seconds(record)
    return Report(
        title=f"Training on {rows:,} rows of {len(_NUMBERS) + len(_CATEGORIES)} columns",
        command=f"python -m tests.benchmarks.quality --speed {rows}",
        columns=("", "training rows", "optimizer steps", "train s", "ms/step", "to reach"),
        lines=[
            (
                "defaults",
                f"{training.rows:,}",
                f"{steps:,}",
                f"{seconds:.1f}",
                f"{training.seconds / steps * 1e3:.1f}",
                f"{_TO_REACH} s",
            )
        ],
        sentences=[
            "The seconds are the whole step's, with the start of its process; those per optimizer "
            f"step are the epochs' alone. {len(_MOSTLY_ZERO)} of the numbers are 0 in "
            f"{_ZEROS:.0%} of the rows. One run."
        ],
        details={"train_seconds": seconds, "training": training.model_dump()},
    )


def _census(rows: int, seed: int = 0) -> pa.Table:
    """Returns a table whose target depends on numbers, categories and both together."""
    rng = np.random.default_rng(seed)
    numbers = {name: rng.lognormal(3, 0.5, rows) for name in _NUMBERS}
    for name in _MOSTLY_ZERO:
        numbers[name][rng.random(rows) < _ZEROS] = 0.0
    ids = {name: rng.zipf(1.5, rows) % size for name, size in _CATEGORIES.items()}
    score = 0.03 * numbers["age"] + 0.02 * numbers["hours"] * (ids["marital"] == 1)
    score += (numbers["gain"] > 0) + 0.3 * (ids["education"] % 3) + rng.logistic(0, 0.5, rows)
    return pa.table(
        {
            "id": [f"{row:07d}" for row in range(rows)],
            **numbers,
            **{name: [f"{name}-{i}" for i in column] for name, column in ids.items()},
            "income": score > np.quantile(score, 0.76),
        }
    )


def _declaration(table: Path) -> str:
    numbers = "\n".join(f"  {name}: {{kind: numeric}}" for name in _NUMBERS)
    categories = "\n".join(f"  {name}: {{kind: categorical}}" for name in _CATEGORIES)
    return f"""name: census
source: {{path: {table.absolute()}, key: id}}
features:
{numbers}
{categories}
targets:
  income: {{kind: binary}}
"""
