from __future__ import annotations

from pathlib import Path

from tests.support.jobs import transform_job
from tests.transforms.conftest import write_rows
from transforms.analysis.partition_statistics import (
    _CountTrainingRows,
    _path,
    _RowsWritten,
    _units,
    _write,
    count_partitions,
)
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.jobs import TransformJob
from transforms.statistics.accumulators import Accumulated


def nine_rows(folder: Path) -> TransformJob:
    rows = {"id": [f"r{i}" for i in range(9)], "price": [1.0] * 9}
    write_rows(rows, folder / "data" / "rows.parquet")
    declaration = {
        "name": "prices",
        "source": {"path": str(folder / "data"), "key": "id"},
        "features": {"price": {"kind": "numeric"}},
        "targets": {"sold": {"kind": "numeric", "column": "price"}},
    }
    return transform_job(parse(declaration), folder / "workspace")


def test_two_attempts_at_one_unit_write_files_of_their_own(tmp_path: Path) -> None:
    job = nine_rows(tmp_path)
    (partition,) = job.partitions
    whole = _path(job, partition)
    (unit,) = _units(job, [partition])[:1]
    first, second = _CountTrainingRows(job, "a"), _CountTrainingRows(job, "a")
    for attempt in (first, second):
        attempt.setup()
    ((name, of_first),) = first.process(unit)
    ((_, of_second),) = second.process(unit)
    assert of_first != of_second
    _write((name, [of_first]), job)
    assert Accumulated.read(whole).rows == Accumulated.read(whole.with_name(of_second)).rows > 0
    assert list(first.process(unit)) == [], "what is counted is not counted again"


def test_partitions_with_statistics_are_not_read(tmp_path: Path) -> None:
    job = nine_rows(tmp_path)
    assert count_partitions(job).partitions == 1
    assert count_partitions(job).partitions == 0


def test_rows_that_other_processes_count_are_told_by_what_their_units_write(tmp_path: Path) -> None:
    job = nine_rows(tmp_path)
    (partition,) = job.partitions
    units = _units(job, [partition])
    written = _RowsWritten(job, units, "a")
    assert written() == 0
    work = _CountTrainingRows(job, "a")
    work.setup()
    ((_, part),) = work.process(units[0])
    assert written() == units[0].rows()
    whole = _path(job, partition)
    whole.with_name(part).replace(whole)
    assert written() == 9, "what the whole partition's file has, its units have"
