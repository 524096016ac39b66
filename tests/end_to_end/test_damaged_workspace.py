"""Every file of a workspace, cut, empty or gone: named by `braid check`, and never a traceback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from flows.commands.cli import cli
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import checksum
from transforms.contract.process.own_packages import python_m
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock

pytestmark = pytest.mark.slow

BRAID = python_m("braid")
ROWS: dict[str, list[Any]] = {
    "id": [f"r{i}" for i in range(200)],
    "area": [float(i % 50) if i % 20 else None for i in range(200)],
    "city": [f"c{i % 4}" for i in range(200)],
    "sold": [(i % 50) > 25 for i in range(200)],
}
DECLARATION: dict[str, Any] = {
    "name": "flats",
    "source": {"path": "data", "key": "id"},
    "features": {
        "area": {"kind": "numeric", "missing": "reject"},
        "city": {"kind": "categorical"},
    },
    "targets": {"sold": {"kind": "binary"}},
    "transform": {"max_reject_fraction": 0.5},
    "training": {"epochs": 1},
}
# Nothing reads these again, or TensorFlow alone can tell whether they are whole.
UNREAD = ("*.lock", "*.log", "*.png", "*.md", "*.html", "*/jobs/*", "*/artifacts/declaration.json",
          "*/artifacts/report/*")  # fmt: skip
OPAQUE = ("*fingerprint.pb", "transforms/*/variables.data-*")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "data").mkdir()
    pq.write_table(pa.table(ROWS), folder / "data" / "a.parquet")
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    done = run(folder)
    assert done.returncode in (0, 3), done.stderr
    return folder


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BRAID, "run", str(folder / "pipeline.yaml")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def check(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        cli, ["check", str(folder / "pipeline.yaml"), *arguments], standalone_mode=False
    )
    if isinstance(done.exception, Exception):
        raise done.exception
    return int(done.return_value or 0), done.output


def files(folder: Path, *leaving_out: str) -> Iterator[Path]:
    workspace = folder / "workspace"
    for path in sorted(workspace.rglob("*")):
        name = str(path.relative_to(workspace))
        if path.is_file() and not any(fnmatch(name, pattern) for pattern in leaving_out):
            yield path


def test_a_workspace_that_nobody_touched_is_whole(project: Path) -> None:
    code, output = check(project)
    assert (code, output.splitlines()[-1]) == (0, "All of it is whole.")
    assert "1 transform, 1 partition, " in output
    assert "1 run, 1 registered version in" in output


def test_every_file_that_is_read_again_is_named_if_it_is_cut_or_empty(project: Path) -> None:
    for path in files(project, *UNREAD, *OPAQUE):
        content = path.read_bytes()
        for cut in (len(content) // 2, len(content.rstrip()) - 1, 0):
            path.write_bytes(content[:cut])
            assert (check(project)[0], path.name, cut) == (1, path.name, cut)
        path.write_bytes(content)


def test_a_file_that_is_gone_is_named_unless_a_run_does_without_it(project: Path) -> None:
    unmissed = set()
    for path in files(project, *UNREAD, *OPAQUE):
        content = path.read_bytes()
        path.unlink()
        if check(project)[0] == 0:
            unmissed.add(str(path.relative_to(project / "workspace")).partition("/")[0])
            # Runs of older versions have no declaration, and only `compare` reads it.
            assert path.suffix != ".json" or path.name in ("manifest.json", "declaration.json"), (
                path
            )
        path.write_bytes(content)
    assert unmissed == {"keys", "statistics", "shards", "runs"}


def test_a_repair_removes_what_a_run_makes_again_and_nothing_else(
    project: Path,
) -> None:
    folder, workspace = project, project / "workspace"
    before = {path.name: checksum(path) for path in workspace.rglob("*.tfrecord")}
    records = {path: path.read_bytes() for path in files(folder) if "runs" in path.parts}
    for pattern in ("shards/*/*/train-*", "statistics/*/*", "keys/*/*", "transforms/*/graph/*.pb"):
        path = next(workspace.glob(pattern))
        path.write_bytes(path.read_bytes()[:-1])
    model = next(workspace.glob("runs/*/*/model.keras"))
    model.write_bytes(b"")
    code, output = check(folder, "--repair")
    assert code == 1, "the model stays"
    assert output.count("  removed\n") == len(output.splitlines()) // 2 - 2
    assert "model.keras: an empty file\n  Bring it back from a copy, or run with" in output
    for path, content in records.items():
        assert path.read_bytes() == (b"" if path == model else content)
    model.write_bytes(records[model])
    done = run(folder)
    assert done.returncode in (0, 3), done.stderr
    assert {path.name: checksum(path) for path in workspace.rglob("*.tfrecord")} == before
    assert check(folder)[0] == 0


def test_a_run_over_any_damaged_file_is_one_sentence_that_names_it(
    project: Path,
) -> None:
    for pattern in ("transforms/*/transform.json", "runs/*/*/run.json", "shards/*/*/manifest.json"):
        path = next((project / "workspace").glob(pattern))
        content = path.read_bytes()
        path.write_bytes(content[:-10])
        done = run(project)
        assert "Traceback" not in done.stdout + done.stderr
        if not pattern.startswith("shards"):  # which a run with nothing to do does not read
            assert done.returncode == 1
            assert str(path) in done.stderr.replace("\n", "")
        path.write_bytes(content)


def test_a_workspace_in_which_a_run_works_is_not_repaired(project: Path) -> None:
    with exclusive_lock(Workspace(project / "workspace").lock("run", "flats"), holder="flats"):
        assert check(project)[0] == 0
        with pytest.raises(
            Exception, match="while the workspace is repaired: expected no other run"
        ):
            check(project, "--repair")


def test_a_workspace_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    with pytest.raises(BraidError, match="expected a workspace, received no such folder"):
        check(tmp_path)
