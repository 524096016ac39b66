"""A source file that is written anew during a run: refused by every step, and nothing is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import until
from tests.support.jobs import transform_job
from tests.transforms.conftest import write_rows
from transforms.analysis.freeze import analyze
from transforms.analysis.partition_statistics import count_partitions
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import TransformJob
from transforms.reading.batches import BatchReader
from transforms.reading.cutting import write_windows_of_run
from transforms.reading.keys import check_unique
from transforms.shards.transform import transform
from transforms.source.changes import unchanged
from transforms.source.scan import scan
from transforms.source.windows import windows_partition

ROWS = {"id": [f"r{i}" for i in range(60)], "price": [float(i) for i in range(60)]}


def job_of(folder: Path) -> TransformJob:
    write_rows(ROWS, folder / "data" / "rows.parquet")
    declaration = {
        "name": "prices",
        "source": {"path": str(folder / "data"), "key": "id"},
        "features": {"price": {"kind": "numeric"}},
        "targets": {"sold": {"kind": "numeric", "column": "price"}},
    }
    return transform_job(parse(declaration), folder / "workspace")


def shorter(path: Path) -> None:
    write_rows({name: values[:50] for name, values in ROWS.items()}, path)


def of_the_same_size(path: Path) -> None:
    stat = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


CHANGES = [shorter, of_the_same_size, half, Path.unlink]


def files_of(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file()}


def check_keys(job: TransformJob) -> None:
    check_unique(job.pipeline, job.partitions, job.folders())


def transform_again(job: TransformJob) -> None:
    transform(job.model_dump_json())


STEPS: dict[str, Callable[[TransformJob], object]] = {
    "check keys": check_keys,
    "analyze": count_partitions,
    "transform": transform_again,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_changed_since_the_run_found_it_is_refused_by_every_step(
    tmp_path: Path, step: str, change: Callable[[Path], None]
) -> None:
    job = job_of(tmp_path)
    if step == "transform":
        analyze(job.model_dump_json())
    path = tmp_path / "data" / "rows.parquet"
    before = files_of(tmp_path / "workspace")
    change(path)
    with pytest.raises(BraidError) as raised:
        STEPS[step](job)
    assert raised.value.place == str(path)
    if change in (shorter, of_the_same_size):
        assert "as it was when the run looked for files: 1," in raised.value.expected
        assert "Run again" in raised.value.action

    def left() -> set[str]:
        return {file.name for file in files_of(tmp_path / "workspace") - before} - {"plan.json"}

    # Other workers end with the next batch after the run has failed, and remove what they wrote.
    until(lambda: not left(), seconds=20, told=lambda: str(left()))


@pytest.mark.parametrize("step", ["analyze", "transform"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    job = job_of(tmp_path)
    if step == "transform":
        analyze(job.model_dump_json())
    read = BatchReader.read
    changes = iter([shorter])  # once, as other workers go on for a while after a run has failed

    def read_and_rewrite(self, unit, rows):
        for batch in read(self, unit, rows):
            yield batch
            for change in changes:
                change(tmp_path / "data" / "rows.parquet")

    monkeypatch.setattr(BatchReader, "read", read_and_rewrite)
    with pytest.raises(BraidError, match="Run again, once nobody writes it"):
        STEPS[step](job)
    assert not list((tmp_path / "workspace").rglob("manifest.json"))
    monkeypatch.undo()
    again = transform_job(job.pipeline, tmp_path / "workspace")
    analyze(again.model_dump_json())
    assert transform(again.model_dump_json()).rows == 50


def test_a_long_table_that_changed_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "data" / "steps.parquet"
    write_rows({"at": list(range(30)), "v": [1.0] * 30}, path)
    pipeline = parse(
        {
            "name": "steps",
            "source": {
                "path": str(tmp_path / "data"),
                "key": "window",
                "windows": {"time": "at", "length": 3, "values": ["v"]},
            },
            "split": {"by": "time", "column": "at", "validation_from": 15, "test_from": 22},
            "features": {"v": {"kind": "sequence", "length": 3}},
            "targets": {"next": {"kind": "numeric", "column": "v_next_1"}},
        }
    )
    job = transform_job(pipeline, tmp_path / "workspace")
    partition = windows_partition(pipeline, scan(pipeline.source).partitions)
    of_the_same_size(path)
    with pytest.raises(BraidError, match="as it was when the run looked for files"):
        write_windows_of_run(pipeline, job.folders(), partition, lambda *_: None)
    assert not list((tmp_path / "workspace").rglob("windows.*"))


def test_a_failure_over_files_that_are_the_same_stays_what_it_is(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    with pytest.raises(KeyError), unchanged(job.pipeline.source.path, job.partitions[0].files):
        raise KeyError
