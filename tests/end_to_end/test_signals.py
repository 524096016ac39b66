"""A stop at any moment, through the public command: the right code, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.command import processes, start, until

pytestmark = pytest.mark.slow

DECLARATION = {
    "name": "flats",
    "source": {"path": "data", "key": "id"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}},
    "training": {"epochs": 1},
}


def write_project(folder: Path) -> Path:
    """Writes a small table and its declaration, and returns the latter."""
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    (folder / "data").mkdir()
    rows = {
        "id": [f"r{n}" for n in range(60)],
        "area": [float(n) for n in range(60)],
        "sold": [n % 2 == 0 for n in range(60)],
    }
    pq.write_table(pa.table(rows), folder / "data" / "a.parquet")
    return folder / "pipeline.yaml"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    write_project(tmp_path)
    return tmp_path


def processes_of(project: Path, *words: str) -> list[int]:
    """Returns the processes of this project whose command line has these words."""
    home = f"PREFECT_HOME={project / 'prefect'}".encode()
    result = []
    for pid in processes():
        folder = Path(f"/proc/{pid}")
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if pid != os.getpid() and home in environment and set(words) <= set(command):
            result.append(pid)
    return result


def _server(project: Path) -> list[int]:
    return processes_of(project, "prefect.server.api.server:create_app")


def _analysis(project: Path) -> list[int]:
    return processes_of(project, "transforms", "analyze")


@pytest.mark.parametrize(
    ("reached", "number", "code"),
    [
        (_server, signal.SIGKILL, -9),
        (_server, signal.SIGTERM, 143),
        (_server, signal.SIGINT, 130),
        (_analysis, signal.SIGTERM, 143),
        (_analysis, signal.SIGINT, 130),
    ],
)
def test_a_stop_leaves_no_process(project, reached, number, code):
    log = project / "log"
    command = start(["run", str(project / "pipeline.yaml")], log)
    until(lambda: reached(project), told=log.read_text)
    command.send_signal(number)
    assert command.wait(60) == code, log.read_text()
    until(lambda: not processes_of(project), seconds=20, told=lambda: str(processes_of(project)))
    assert "Traceback" not in log.read_text()
    assert "resumes" in log.read_text() or number == signal.SIGKILL


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")]
)
def test_a_run_that_a_signal_stopped_says_so_until_it_is_resumed(project, number, name):
    log = project / "log"
    command = start(["run", str(project / "pipeline.yaml")], log)
    until(lambda: _analysis(project), told=log.read_text)
    command.send_signal(number)
    command.wait(60)
    (record,) = (project / "workspace" / "runs" / "flats").glob("*/run.json")
    told = json.loads(record.read_text())
    assert (told["status"], told["error"]["received"]) == ("stopped", name)
    listed = project / "listed"
    assert start(["runs", str(project / "pipeline.yaml")], listed).wait(60) == 0
    assert "stopped" in listed.read_text()
    again = start(["run", str(project / "pipeline.yaml")], log)
    until(lambda: f"it was stopped by {name} before its end" in log.read_text(), told=log.read_text)
    again.terminate()
    assert again.wait(60) == 143
