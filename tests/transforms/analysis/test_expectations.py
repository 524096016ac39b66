from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.jobs import transform_job
from tests.transforms.conftest import write_rows
from transforms.analysis.expectations import ExpectationsBroken, expect
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.jobs import TransformJob

Job = Callable[..., TransformJob]


@pytest.fixture
def job_with(tmp_path: Path) -> Job:
    """Returns a function that gives the job of two days, the second with other rows."""
    for day, first in ((1, 0), (2, 100)):
        rows = {
            "id": [f"r{i}" for i in range(first, first + 20)],
            "fold": ["train"] * 20,
            "area": [float(i) for i in range(first, first + 20)],
            "sold": [i % 2 == 0 for i in range(20)],
        }
        write_rows(rows, tmp_path / "data" / f"day={day}" / "rows.parquet")

    def job(source: dict[str, object] | None = None, **expected: object) -> TransformJob:
        document = {
            "name": "flats",
            "source": {"path": str(tmp_path / "data"), "partition_by": "day"}
            | (source or {"key": "id"}),
            "split": {"by": "column", "column": "fold"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
            "expect": expected,
        }
        return transform_job(parse(document), tmp_path / "workspace")

    return job


def test_rows_that_are_not_as_expected_freeze_nothing(job_with: Job) -> None:
    job = job_with(area={"between": [0, 50]}, rows={"at_least": 21})
    with pytest.raises(ExpectationsBroken) as broken:
        analyze(job.model_dump_json())
    sentences = [line for line in broken.value.received.splitlines() if line[0] != " "]
    assert sentences == [
        "day=1: 20 rows, expected at least 21.",
        "day=2: 'area' goes from 100 to 119, expected 0 to 50.",
        "day=2: 20 rows, expected at least 21.",
    ]
    assert job.folders().read_transform(job.transform) is None
    again = expect(job_with(area={"between": [0, 119]}).model_dump_json())
    assert (again.partitions, again.rows) == (0, 0), "what was counted is not read again"


def test_where_the_transform_is_kept_its_numbers_stand_below_those_of_the_partition(
    job_with: Job,
) -> None:
    analyze(job_with().model_dump_json())
    with pytest.raises(ExpectationsBroken) as broken:
        expect(job_with(area={"between": [0, 50]}).model_dump_json())
    sentence, rows, frozen, axis = broken.value.received.splitlines()
    assert sentence == "day=2: 'area' goes from 100 to 119, expected 0 to 50."
    assert rows.split()[0] == "rows"
    assert frozen.startswith("  frozen  ▅"), "the first day's, from 0 on"
    assert axis.split() == ["0", "119"]


@pytest.mark.parametrize("key", ["id", ["fold", "id"], None], ids=["key", "two columns", "no key"])
def test_rows_are_counted_whatever_names_them_and_as_the_filter_leaves_them(
    job_with: Job, key: object
) -> None:
    source = {"key": key, "where": "area < 110 and area >= 5"}
    job = job_with(source, rows={"at_least": 11, "at_most": 14})
    with pytest.raises(ExpectationsBroken) as broken:
        expect(job.model_dump_json())
    assert broken.value.received.splitlines() == [
        "day=1: 15 rows, expected at most 14.",
        "day=2: 10 rows, expected at least 11.",
    ]
