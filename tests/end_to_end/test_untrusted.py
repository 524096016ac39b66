"""One real run of a table that is not trusted, with secrets in its declaration, under umask 077."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.command import BRAID

pytestmark = pytest.mark.slow

SECRET = "t0p-s3cret-Value"
LITERAL = "l1teral-Passw0rd"
# Of a sensitive key, a sensitive number that cannot be used, and a sensitive label.
KEY, VALUE, LABEL = "patient-0815-", "13-Main-Street", "diagnosis-xyz"
HOSTILE = "\x1b[2J[red]<script>alert(1)</script>"
ROWS = 160


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("untrusted")
    (folder / "data").mkdir()
    (folder / "mlflow").mkdir()
    rows: dict[str, list[Any]] = {
        "id": [f"{KEY}{n}" for n in range(ROWS)],
        "area": [str(n % 7) for n in range(ROWS)],
        "house": [VALUE if n % 40 == 0 else str(n % 5) for n in range(ROWS)],
        "city": [f"{HOSTILE}{n % 3}" for n in range(ROWS)],
        "group": [f"{LABEL}{n % 2}" for n in range(ROWS)],
        "kind": [f"{HOSTILE}{n % 2}" for n in range(ROWS)],
    }
    for part, hostile in enumerate((HOSTILE.replace("/", ""), "plain")):
        at = slice(part * ROWS // 2, (part + 1) * ROWS // 2)
        table = pa.table({name: values[at] for name, values in rows.items()})
        pq.write_table(table, folder / "data" / f"{hostile}.parquet")
    declaration = {
        "name": "patients",
        "source": {
            "path": "${BRAID_TEST_DATA:-data}",
            "key": "id",
            "sensitive_key": True,
            "partition_by": {"file": True},
        },
        "features": {
            "area": {"kind": "numeric"},
            "house": {"kind": "numeric", "sensitive": True},
            "city": {"kind": "categorical"},
        },
        "targets": {
            "group": {"kind": "multiclass", "sensitive": True},
            "kind": {"kind": "multiclass"},
        },
        "training": {"epochs": 1},
        "transform": {"max_reject_fraction": 0.5},
        "beam": {"options": {"my_password": LITERAL, "direct_num_workers": 1}},
        "gate": {"metric": "test_loss", "at_most": 100.0, "compare": False},
        "registry": {"uri": f"sqlite:///{folder}/mlflow/${{BRAID_TEST_TOKEN}}.db"},
    }
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(declaration))
    return folder


def braid(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command, *others = arguments
    return subprocess.run(
        [*BRAID, command, str(project / "pipeline.yaml"), *others],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "BRAID_TEST_TOKEN": SECRET, "PREFECT_HOME": str(project / "prefect")},
        umask=0o077,
    )


@pytest.fixture(scope="module")
def first_run(project) -> subprocess.CompletedProcess[str]:
    done = braid(project, "run", "--set", f"beam.options.another_secret={LITERAL}")
    # The model may be refused; what it wrote is what this is about.
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return done


def _written(project: Path) -> list[Path]:
    folders = (project / "workspace", project / "prefect")
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def _with(project: Path, text: str) -> list[str]:
    files = [path for path in _written(project) if text.encode() in path.read_bytes()]
    return [str(path.relative_to(project)) for path in files]


@pytest.mark.parametrize("secret", [SECRET, LITERAL])
def test_no_file_and_no_line_has_a_secret(project, first_run, secret):
    assert len(_written(project)) > 30
    assert _with(project, secret) == []
    assert secret not in first_run.stdout + first_run.stderr
    assert _with(project, "${BRAID_TEST_TOKEN}") != [], "the declaration is kept, unexpanded"


def test_no_file_is_readable_by_others(project, first_run):
    assert first_run.returncode in (0, 3)
    paths = [path for path in (project / "workspace").rglob("*") if not path.is_symlink()]
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("value", [KEY, VALUE, LABEL])
def test_sensitive_values_are_in_the_data_alone(project, first_run, value):
    assert value not in first_run.stdout + first_run.stderr
    files = _with(project, value)
    read = ("run.json", "summary.md", "evaluation.json", ".log", "manifest.json", ".db")
    assert [file for file in files if file.endswith(read) or "rejects" in file] == []


def test_rejects_tell_reasons_and_no_sensitive_value(project, first_run):
    assert first_run.returncode in (0, 3)
    paths = (project / "workspace" / "rejects").rglob("*.parquet")
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 4
    for row in rows:
        assert row["column"] == "house"
        assert row["key"] == "(sensitive)"
        assert row["value"] == b"(sensitive)"


def test_text_of_the_table_is_no_markup_anywhere(project, first_run):
    assert "\x1b" not in first_run.stdout + first_run.stderr
    assert "[red]" in first_run.stdout, "it is shown as text"
    pages = [path.read_text() for path in (project / "workspace").rglob("summary.md")]
    assert len(pages) == 2, "the run's, and what the registry keeps of it"
    assert not [page for page in pages if "<script" in page or "\x1b" in page]
    with closing(sqlite3.connect(project / "prefect" / "prefect.db")) as database:
        artifacts = [data for (data,) in database.execute("select data from artifact")]
        names = [name for (name,) in database.execute("select name from flow_run")]
    assert artifacts
    assert not [text for text in (*artifacts, *names) if "<script" in text and "\x1b" in text]


def test_a_lost_registry_and_a_moved_workspace_are_told_or_work(project, first_run, tmp_path):
    assert first_run.returncode in (0, 3)
    own = ("--set", "registry.uri=null")
    done = braid(project, "run", *own)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    moved = tmp_path / "moved"
    shutil.move(project / "workspace", moved)
    at = (*own, "--workspace", str(moved))
    assert "Nothing is new" in braid(project, "run", *at).stdout
    assert "challenger" in braid(project, "models", *at).stdout
    (moved / "registry.db").rename(tmp_path / "elsewhere.db")
    for command in ("run", "models"):
        told = braid(project, command, *at)
        assert told.returncode == 1
        assert f"no {moved / 'registry.db'}" in told.stderr
        assert "Bring that back" in told.stderr
