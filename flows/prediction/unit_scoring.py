"""Scoring a unit of rows into a part of a folder of predictions, wherever the unit is read.

It is the command's own process that does so, or a worker of a Beam runner, to which the object is
pickled. Beam itself stands behind `transforms.unit_work`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from flows.prediction.carried_export import export_here
from flows.prediction.predict import BATCH_ROWS, score_batch, scored_batches
from flows.prediction.prediction_file import Predictions, PredictionWriter, prediction_table
from flows.prediction.prediction_folder import PartitionRecords, PredictionFolder, UnitReceipt
from flows.prediction.score_job import ScoreJob
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.kinds.pictures.bad_pictures import PictureJudge
from transforms.reading.batches import BatchReader
from transforms.source.changes import unchanged
from transforms.source.units import WorkUnit, read_files

if TYPE_CHECKING:
    from trainer.export.serving import Scorer

_loading = threading.Lock()


@lru_cache(maxsize=1)  # of a champion that is followed, the present one
def _load(export: str) -> tuple[Scorer, dict[str, np.ndarray]]:
    """Returns an export with its answer for a row without any value, [1] by output."""
    from trainer.export.serving import load, try_out

    scorer = load(export)
    return scorer, try_out(scorer)


class UnitScoring:
    """Scores units of one table.

    Args:
        job: The table, the model and the folder.
        threads: How many batches are worked on at once; by default one a core.
        on_rows: Is told how many more rows are written.
    """

    def __init__(
        self,
        job: ScoreJob,
        *,
        threads: int | None = None,
        on_rows: Callable[[int], None] | None = None,
    ) -> None:
        self._job, self._threads, self._on_rows = job, threads, on_rows

    def open(self) -> None:
        """Loads the export once a process, and opens the table and the folder once a worker.

        Raises:
            BraidError: One of them cannot be.
        """
        with _loading:
            model, blank = _load(export_here(self._job))
        self._folder = PredictionFolder.open(self._job.output)
        self._reader = BatchReader(self._job.table, features_only=True)
        self._partitions = {partition.name: partition for partition in self._job.partitions}
        judge = PictureJudge(model.pipeline, with_targets=False)
        self._score = partial(
            score_batch, model, judge=judge, keep_invalid=self._job.scoring.keep_invalid
        )
        self._names = self._job.table.source.name_columns
        self._schema = _schema(self._names, blank, self._job.table.source.partition_column)

    def do(self, unit: WorkUnit) -> None:
        """Scores a unit; its receipt is written last, or why its rows cannot be scored."""
        records = self._folder.records(self._partitions[unit.partition], self._job.scoring)
        if records.is_done(unit.index):
            return
        try:
            receipt = self._scored(unit, records)
        except BraidError as error:
            # Of its own rows: other partitions are scored all the same.
            records.write_failure(unit.index, ErrorReport.of(error))
            return
        records.write_receipt(unit.index, receipt)

    def _scored(self, unit: WorkUnit, records: PartitionRecords) -> UnitReceipt:
        source, files = self._job.table.source.path, read_files(self._job.partitions, unit)
        with records.new_part(unit.index) as (part, stream), unchanged(source, files):
            writer = PredictionWriter(stream, ".parquet", self._names, self._schema)
            batches = self._reader.read(unit, BATCH_ROWS)
            for batch, predictions in scored_batches(self._score, batches, self._threads):
                writer.add(batch.keys, predictions)
                if self._on_rows is not None:
                    self._on_rows(batch.rows)
            writer.close()
            size = stream.tell()
        return UnitReceipt(
            scoring=self._job.scoring,
            part=part,
            bytes=size,
            rows=writer.rows,
            scored=writer.scored,
            reasons=dict(writer.reasons),
        )


def _schema(
    names: tuple[str, ...], blank: dict[str, np.ndarray], partition_column: str | None
) -> pa.Schema:
    """Returns the columns of every part, which do not depend on what is in its rows.

    The column that the partitions' folders stand for is none of them, as it is none of the source's
    files: readers of a partitioned table take it from the folders.
    """
    nothing = Predictions(
        {name: values[:0] for name, values in blank.items()}, np.zeros(0, np.int64)
    )
    schema = prediction_table(names, np.zeros(0, object), nothing).schema
    return pa.schema([field for field in schema if field.name != partition_column])
