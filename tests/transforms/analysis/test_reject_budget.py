from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jobs import transform_job
from tests.transforms.conftest import write_rows
from transforms.analysis.partition_statistics import _path, count_partitions
from transforms.analysis.reject_budget import RejectBudget, rows_with_key
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import TransformJob
from transforms.reading.batches import Reject
from transforms.reading.keys import check_unique

ROWS = 100


def job_of(folder: Path, *, checked: bool = True, bad: int = 0, **keys: object) -> TransformJob:
    """Returns the analysis of 100 rows, in the first of which the price is no number."""
    for day in ("1", "2"):
        price = [float("inf")] * bad + [1.0] * (ROWS // 2 - bad)
        rows = {"id": [f"{day}-{i}" for i in range(ROWS // 2)], "price": price}
        write_rows(rows, folder / "data" / f"day={day}" / "rows.parquet")
    declaration = {
        "name": "prices",
        "source": {"path": str(folder / "data"), "key": "id", "partition_by": "day"},
        "features": {"price": {"kind": "numeric"}},
        "targets": {"sold": {"kind": "numeric", "column": "price"}},
        "transform": {"max_reject_fraction": 0.1},
        **keys,
    }
    job = transform_job(parse(declaration), folder / "workspace")
    if checked:
        check_unique(job.pipeline, job.partitions, job.folders())
    return job


def budget_of(job: TransformJob) -> RejectBudget:
    return RejectBudget(job, rows_with_key(job))


def rejects(count: int, column: str = "price", key: str = "k{}") -> list[Reject]:
    return [Reject(key.format(i), "a.parquet", column, "not_finite", b"inf") for i in range(count)]


def test_as_many_rejects_as_are_allowed_stop_nothing_and_one_more_does(tmp_path):
    budget = budget_of(job_of(tmp_path))
    budget.add("day=1", rejects(6))
    budget.add("day=2", rejects(4))
    with pytest.raises(BraidError) as caught:
        budget.add("day=2", rejects(1))
    assert caught.value.received.startswith("11 of 100 rows (11.0%), most of them (11) by")
    assert "key k0 in a.parquet" in caught.value.received


def test_rows_without_a_key_are_rows_too(tmp_path):
    budget = budget_of(job_of(tmp_path))
    budget.add("day=1", rejects(11, "id", key=""))  # of 111
    with pytest.raises(BraidError, match="12 of 112 rows"):
        budget.add("day=1", rejects(1, "id", key=""))


def test_a_feature_of_the_key_s_column_that_is_rejected_leaves_the_row_its_key(tmp_path):
    budget = budget_of(job_of(tmp_path))
    budget.add("day=1", rejects(10, "id"))
    with pytest.raises(BraidError, match="11 of 100 rows"):
        budget.add("day=1", rejects(1, "id"))


def test_partitions_that_do_not_train_cost_a_run_nothing(tmp_path):
    budget = budget_of(job_of(tmp_path, training={"partitions": {"last": 1}}))
    budget.add("day=1", rejects(50))
    with pytest.raises(BraidError, match="6 of 50 rows"):
        budget.add("day=2", rejects(6))


def test_without_the_number_of_rows_nothing_is_decided(tmp_path):
    budget_of(job_of(tmp_path, checked=False)).add("day=1", rejects(100))


def test_a_sensitive_key_is_not_told(tmp_path):
    source = {"path": str(tmp_path / "data"), "key": "id", "partition_by": "day"}
    budget = budget_of(job_of(tmp_path, source=source | {"sensitive_key": True}))
    with pytest.raises(BraidError, match=r"key \(sensitive\) in"):
        budget.add("day=1", rejects(20))


def test_an_analysis_ends_by_its_rejects_and_keeps_no_statistics_of_them(tmp_path):
    job = job_of(tmp_path, bad=20)
    with pytest.raises(BraidError, match="by 'not_finite' in column 'price'"):
        count_partitions(job)
    assert not any(_path(job, partition).exists() for partition in job.partitions)
