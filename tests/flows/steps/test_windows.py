"""The step that cuts windows, and what it leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows.orchestration.run_steps import Run, check_source, cut_windows
from flows.records.run_identity import identity_of
from flows.steps.shard_steps import scan_source
from tests.support.runs import run_of, told_by
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.transform_choice import TransformChoice, transform_fingerprint


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def _run(folder: Path, workspace: Workspace, key: str | None = "window", **windows: int) -> Run:
    days = folder / "days.csv"
    if not days.exists():
        days.write_text("day,sales\n" + "".join(f"{day},{day * 2}\n" for day in range(20)))
    pipeline = parse(
        {
            "name": "sales",
            "source": {
                "path": str(days),
                "format": "csv",
                "key": key,
                "windows": {"time": "day", "length": 3, "values": ["sales"]} | windows,
            },
            "split": {"by": "time", "column": "day", "validation_from": 10, "test_from": 15},
            "features": {"sales": {"kind": "sequence", "length": 3}},
            "targets": {"next": {"kind": "numeric", "column": "sales_next_1"}},
        }
    )
    partitions = scan_source(pipeline)
    name = transform_fingerprint(pipeline, partitions)
    identity = identity_of(pipeline, name, partitions)
    return run_of(pipeline, workspace, partitions, TransformChoice(name), identity)


def _files(workspace: Workspace) -> list[Path]:
    return sorted(path for path in (workspace.root / "windows").rglob("*") if path.is_file())


@pytest.mark.parametrize("key", ["window", None], ids=["key", "no key"])
def test_windows_are_cut_once_and_told(tmp_path, workspace, key):
    first = cut_windows(_run(tmp_path, workspace, key))
    (step,) = first.log.record.steps
    assert (step.name, step.rows) == ("windows", 20)
    assert step.note.startswith("17 windows of 1 series; 0 left out")
    (file,) = first.work.partitions[0].files
    assert [path.name for path in _files(workspace)] == ["windows.json", "windows.parquet"]
    check_source(first)
    assert first.log.record.step("check keys").rows == 17
    source, (partition,) = first.work.pipeline.source, first.work.partitions
    assert workspace.keys(source.key_rows, *partition.id).exists(), "as plan and sweep look for it"

    again = _run(tmp_path, workspace, key)
    assert again.log.record.identity == first.log.record.identity
    assert cut_windows(again).work.partitions[0].files == (file,)
    assert "they are cut already" in told_by(again)


def test_other_windows_or_other_rows_are_another_run(tmp_path, workspace):
    first = _run(tmp_path, workspace)
    other = _run(tmp_path, workspace, stride=2)
    os.utime(tmp_path / "days.csv", ns=(1, 1))
    touched = _run(tmp_path, workspace)
    identities = {s.log.record.identity for s in (first, other, touched)}
    transforms = {s.work.transform for s in (first, other, touched)}
    assert len(identities) == len(transforms) == 3


def test_windows_that_are_lost_are_cut_again_and_are_the_same_run(tmp_path, workspace):
    first = _run(tmp_path, workspace)
    cut_windows(first)
    for path in _files(workspace):
        path.unlink()
    again = _run(tmp_path, workspace)
    assert again.log.record.identity == first.log.record.identity
    cut_windows(again)
    assert [path.name for path in _files(workspace)] == ["windows.json", "windows.parquet"]


@pytest.mark.parametrize("held", [False, True])
def test_a_killed_cut_is_cleaned_up_unless_someone_is_at_it(tmp_path, workspace, held):
    run = _run(tmp_path, workspace)
    own = workspace.windows(run.work.partitions[0].fingerprint) / ".tmp-1234-windows.parquet"
    other = workspace.windows("aaaa") / ".tmp-1234-windows.parquet"
    for path in (own, other):
        path.parent.mkdir(parents=True)
        path.write_text("half")
    lock = workspace.lock("windows", "aaaa")
    if held:
        with exclusive_lock(lock, holder="other"):
            cut_windows(run)
    else:
        cut_windows(run)
    assert not own.exists()
    assert other.exists() == held


def test_a_cut_that_fails_leaves_nothing(tmp_path, workspace):
    (tmp_path / "days.csv").write_text("day,sales\n1,1\n1,2\n")
    with pytest.raises(BraidError, match="1 twice"):
        cut_windows(_run(tmp_path, workspace))
    assert _files(workspace) == []
