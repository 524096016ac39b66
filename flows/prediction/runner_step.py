"""The scoring of partitions by a Beam runner whose workers are other processes."""

from __future__ import annotations

from contextlib import suppress

from flows.prediction.carried_export import carried
from flows.prediction.open_partitions import OpenPartitions
from flows.prediction.prediction_folder import PredictionFolder
from flows.prediction.score_job import PartitionOutcome, ScoreJob, ScoreResult
from flows.prediction.unit_scoring import UnitScoring
from transforms.contract.errors import BraidError
from transforms.contract.process import events
from transforms.unit_work import run_units, units_each

_LOCAL_SECONDS = 0.5  # between two looks for what workers have done
_BUCKET_SECONDS = 10.0  # likewise, where each costs requests


def score(text: str) -> ScoreResult:
    """Runs a `ScoreJob` given as JSON: sends the units of its partitions through its runner.

    What an earlier, killed scoring did is kept. A partition is committed once its units are done,
    while others are still being worked on.

    Raises:
        BraidError: The export, the folder or the store cannot be opened, or the runner failed.
    """
    job = ScoreJob.model_validate_json(text)
    outcomes: list[PartitionOutcome] = []
    at_least = units_each(job.beam, len(job.partitions))
    folder = PredictionFolder.open(job.output)
    opened = OpenPartitions(job, folder, at_least, outcomes.append)
    units = opened.units()
    known = [unit.rows() for unit in units]
    total = 0 if None in known else sum(rows for rows in known if rows is not None)

    def look() -> None:
        with suppress(OSError, BraidError):  # what is wrong, the end tells
            events.report(opened.rows_written(), total, unit="rows")
            opened.settle_those_done()

    if units:
        with carried(job) as there:
            run_units(
                job.beam,
                job.folders(),
                units,
                UnitScoring(there, threads=1),  # the runner decides how many at once
                meanwhile=look,
                seconds=_BUCKET_SECONDS if "://" in job.output else _LOCAL_SECONDS,
            )
    opened.settle_all()
    events.report(opened.rows_written(), total, unit="rows")
    return ScoreResult(partitions=tuple(outcomes))
