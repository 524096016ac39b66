"""Scoring the mixed table with a small model against its ETL: `braid predict` beside `braid run`.

    python -m tests.benchmarks.predict [ROWS]

The model is trained on a tenth of the rows. Seconds are without the imports, and without loading
the model.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from flows.prediction.predict import score_table
from flows.process.child import run_child
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.benchmarks.report import Report
from tests.benchmarks.stream import Pass, make_shards, timed
from tests.support.jobs import transform_job
from trainer.export.serving import Scorer, load
from trainer.run_folder import EXPORT_FOLDER
from transforms.contract.declaration import parsing as declarations
from transforms.contract.process.startup import keep_freed_memory
from transforms.contract.steps.step import ANALYZE, EXPORT, TRAIN, TRANSFORM

REPEATS = 3
_TO_REACH = 0.8  # of the ETL's rows/s


def small_model(folder: Path, rows: int) -> Scorer:
    """Returns the export of a model that was trained on a table of some rows."""
    folder.mkdir()
    job = make_shards(folder, rows)
    run, path = Path(job.run_folder), folder / "train.json"
    run.mkdir()
    path.write_text(job.model_dump_json())
    for step in (TRAIN, EXPORT):
        run_child(step, path, log=folder / "log", on_progress=lambda _: None)
    return load(run / EXPORT_FOLDER)


def etl_seconds(table: Path, scratch: Path) -> float:
    """Analyzes and transforms a table, and returns the seconds of the work, imports apart."""
    declaration, path = scratch / "pipeline.yaml", scratch / "job.json"
    declaration.write_text(PIPELINE.format(path=table))
    job = transform_job(declarations.load(declaration), scratch / "workspace")
    path.write_text(job.model_dump_json())
    steps = [
        run_child(step, path, log=scratch / "log", on_progress=lambda _: None).result
        for step in (ANALYZE, TRANSFORM)
    ]
    return sum(step.seconds for step in steps)


def main(rows: int) -> None:
    """Transforms and scores the table in turn, several times, and reports medians."""
    etl: list[float] = []
    scored: list[Pass] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = small_model(folder / "model", max(1_000, rows // 10))
        table = folder / "mixed.parquet"
        write_mixed_table(table, rows, seed=1)
        output = folder / "predictions.parquet"
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory() as scratch:
                etl.append(etl_seconds(table, Path(scratch)))
            scored.append(timed(lambda: score_table(model, table, output, lambda _: None)))
    _report(rows, etl, scored).keep("predict")


def _report(rows: int, etl: list[float], scored: list[Pass]) -> Report:
    ratio = median(base / one.seconds for base, one in zip(etl, scored, strict=True))
    cpu = median(one.cpu_seconds for one in scored) / rows * 1e6
    return Report(
        title=f"Scoring {rows:,} rows of the mixed table with a small model",
        command=f"python -m tests.benchmarks.predict {rows}",
        columns=("", "rows/s", "CPU µs/row", "peak memory"),
        lines=[
            ("analysis and transform", f"{rows / median(etl):,.0f}", "-", "-"),
            (
                "braid predict",
                f"{rows / median(one.seconds for one in scored):,.0f}",
                f"{cpu:.0f}",
                f"{max(one.peak_mb for one in scored):,.0f} MB",
            ),
        ],
        sentences=[
            f"Scoring gives {ratio:.2f} of the rows/s of the ETL in the same run; to reach is "
            f"{_TO_REACH}."
        ],
        details={"etl": etl, "predict": [asdict(one) for one in scored]},
    )


if __name__ == "__main__":
    keep_freed_memory()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
