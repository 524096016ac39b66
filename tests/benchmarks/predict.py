"""Scoring the mixed table with a small model against its ETL: `braid predict` beside `braid run`.

Into one file, and into a folder by units of work, in the same run.

    python -m tests.benchmarks.predict [ROWS]

The model is trained on a tenth of the rows. Seconds are without the imports, and without loading
the model.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from flows.prediction.folder_scoring import score_here
from flows.prediction.predict import score_table
from flows.prediction.prediction_folder import PredictionFolder
from flows.prediction.score_job import PartitionOutcome, ScoreJob, Scoring
from flows.process.child import run_child
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.benchmarks.report import Report
from tests.benchmarks.stream import Pass, make_shards, timed
from tests.support.jobs import transform_job
from trainer.export.serving import Scorer, load
from trainer.run_folder import EXPORT_FOLDER
from transforms.contract.declaration import parsing as declarations
from transforms.contract.declaration.transform import BeamSpec
from transforms.contract.process.events import Progress
from transforms.contract.process.startup import keep_freed_memory
from transforms.contract.steps.step import ANALYZE, EXPORT, TRAIN, TRANSFORM
from transforms.reading.unlabelled import table_to_score
from transforms.source.scan import scan

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


class Nobody:
    """Is told how far a scoring is, and forgets it."""

    def update(self, progress: Progress) -> None:
        """Forgets it."""


def score_into_folder(model: Scorer, export: Path, table: Path, output: Path) -> None:
    """Scores a table into a folder that is not there yet, and refuses a partition that fails."""
    source = table_to_score(model.pipeline, str(table), None)
    job = ScoreJob(
        table=source,
        beam=BeamSpec(),
        workspace=str(output.parent / "workspace"),
        export=str(export),
        scoring=Scoring(model="small", version="1", declaration="d"),
        output=str(output),
        partitions=scan(source.source).partitions,
    )

    def tell(outcome: PartitionOutcome) -> None:
        if outcome.error is not None:
            raise outcome.error.error()

    score_here(job, PredictionFolder.open(job.output), Nobody(), tell)


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
    by_units: list[Pass] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = small_model(folder / "model", max(1_000, rows // 10))
        (export,) = (folder / "model").rglob(EXPORT_FOLDER)
        table = folder / "mixed.parquet"
        write_mixed_table(table, rows, seed=1)
        output = folder / "predictions.parquet"
        score_into_folder(model, export, folder / "model" / "mixed.parquet", folder / "warm")
        for repeat in range(REPEATS):
            with tempfile.TemporaryDirectory() as scratch:
                etl.append(etl_seconds(table, Path(scratch)))
            scored.append(timed(lambda: score_table(model, table, output, lambda _: None)))
            parts = folder / f"predictions-{repeat}"
            by_units.append(timed(partial(score_into_folder, model, export, table, parts)))
    _report(rows, etl, scored, by_units).keep("predict")


def _report(rows: int, etl: list[float], scored: list[Pass], by_units: list[Pass]) -> Report:
    ratio = median(base / one.seconds for base, one in zip(etl, scored, strict=True))
    folder = median(one.seconds / by.seconds for one, by in zip(scored, by_units, strict=True))
    return Report(
        title=f"Scoring {rows:,} rows of the mixed table with a small model",
        command=f"python -m tests.benchmarks.predict {rows}",
        columns=("", "rows/s", "CPU µs/row", "peak memory"),
        lines=[
            ("analysis and transform", f"{rows / median(etl):,.0f}", "-", "-"),
            _line("braid predict", rows, scored),
            _line("braid predict into a folder", rows, by_units),
        ],
        sentences=[
            f"Scoring gives {ratio:.2f} of the rows/s of the ETL in the same run; to reach is "
            f"{_TO_REACH}.",
            f"Into a folder by units of work it gives {folder:.2f} of the rows/s of one file.",
        ],
        details={
            "etl": etl,
            "predict": [asdict(one) for one in scored],
            "folder": [asdict(one) for one in by_units],
        },
    )


def _line(name: str, rows: int, passes: list[Pass]) -> tuple[str, str, str, str]:
    return (
        name,
        f"{rows / median(one.seconds for one in passes):,.0f}",
        f"{median(one.cpu_seconds for one in passes) / rows * 1e6:.0f}",
        f"{max(one.peak_mb for one in passes):,.0f} MB",
    )


if __name__ == "__main__":
    keep_freed_memory()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
