"""Mistakes of users, through the public command: one clear error, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from transforms.contract.process.own_packages import python_m
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock

pytestmark = pytest.mark.slow

BRAID = python_m("braid")
ROWS: dict[str, list[Any]] = {
    "id": [f"r{i}" for i in range(20)],
    "area": [float(i) for i in range(20)],
    "note": ["text"] * 20,
    "sold": [i % 2 == 0 for i in range(20)],
}
DECLARATION: dict[str, Any] = {
    "name": "flats",
    "source": {"path": "data", "key": "id"},
    "features": {"area": {"kind": "numeric"}, "note": {"kind": "text"}},
    "targets": {"sold": {"kind": "binary"}},
    "training": {"epochs": 1},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    write(tmp_path)
    return tmp_path


def write(project: Path, name: str = "a.parquet", **columns: list[Any]) -> Path:
    path = project / "data" / name
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(ROWS | columns), path)
    return path


def run(project: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [*BRAID, "run", str(project / "pipeline.yaml"), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, " ".join(done.stderr.split())


def refusal(project: Path, *arguments: str, code: int = 1) -> str:
    """Returns the error of a run that left nothing but logs, records and locks."""
    exit_code, message = run(project, *arguments)
    assert exit_code == code, message
    for part in ("expected", "received", "to do"):
        assert part in message
    left = {path.name for path in (project / "workspace").rglob("*") if path.is_file()}
    assert not {name for name in left if name.startswith(".tmp-")}
    assert "manifest.json" not in left
    assert "transform.json" not in left
    return message


def test_unknown_key(project: Path) -> None:
    message = refusal(project, "--set", "training.epoch=3", code=2)
    assert "training.epoch" in message
    assert "did you mean 'epochs'?" in message


def test_value_of_a_wrong_type(project: Path) -> None:
    message = refusal(project, "--set", "training.epochs=many", code=2)
    assert "training.epochs" in message
    assert "received 'many'" in message


def test_missing_column(project: Path) -> None:
    message = refusal(project, "--set", "features.area.column=size")
    assert "expected a column 'size' received the columns id, area, note, sold" in message


def test_column_of_a_type_that_the_kind_cannot_take(project: Path) -> None:
    message = refusal(project, "--set", "features.area={kind: text}")
    assert "features.area, column 'area'" in message
    assert "received type double" in message


def test_text_file_named_parquet(project: Path) -> None:
    (project / "data" / "b.parquet").write_text("id,area\n1,2\n")
    assert "expected a whole Parquet file" in refusal(project)


def test_truncated_parquet_file(project: Path) -> None:
    path = write(project)
    path.write_bytes(path.read_bytes()[:-40])
    assert "expected a whole Parquet file" in refusal(project)


def test_empty_table(project: Path) -> None:
    pq.write_table(pa.table(ROWS).slice(0, 0), project / "data" / "a.parquet")
    assert "expected rows with a key received none in 1 file" in refusal(project)


def test_duplicate_keys(project: Path) -> None:
    write(project, id=["same"] * 20)
    assert "received the key 'same' twice, in" in refusal(project)


def test_all_rows_rejected(project: Path) -> None:
    write(project, sold=[None] * 20)
    message = refusal(project)
    assert "column 'sold' expected at most 5.0% of the rows to be unusable" in message
    assert "received 20 of 20" in message


def test_target_with_one_class_only(project: Path) -> None:
    write(project, sold=[True] * 20)
    message = refusal(project)
    assert "targets.sold expected at least two classes" in message
    assert "received only '1'" in message


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mounts a file system of its own on a folder, where the system lets this user."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a file system, and not in every container")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_read_only_workspace(project: Path) -> None:
    with mounted(project / "readonly", "ro"):
        code, message = run(project, "--workspace", str(project / "readonly"))
    assert code == 1
    assert "received Read-only file system" in message


def test_second_run_while_one_is_going(project: Path) -> None:
    with exclusive_lock(Workspace(project / "workspace").lock("run", "flats"), holder="flats"):
        message = refusal(project)
    assert f"received one in process {os.getpid()}" in message


def test_full_disk(project: Path) -> None:
    small = project / "small"
    with mounted(small, "size=150k"):
        code, message = run(project, "--workspace", str(small))
        assert list(small.rglob(".tmp-*")) == []
        assert list(small.rglob("manifest.json")) == []
    assert code == 1
    assert message.startswith("Error transform")
    assert "received No space left on device" in message
