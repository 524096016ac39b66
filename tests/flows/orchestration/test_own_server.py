"""Prefect's own server that cannot start or is killed, through the public command."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.test_signals import processes_of, write_project
from tests.support.command import BRAID, start, until


def _no_space() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def _damaged(home: Path) -> None:
    home.mkdir()
    (home / "prefect.db").write_bytes(b"no database" * 1_000)


@pytest.mark.parametrize(
    ("prepare", "limit"),
    [(lambda home: None, _no_space), (_damaged, None), (Path.touch, None)],
    ids=["no space for its database", "a damaged database", "a file in the folder's place"],
)
def test_a_server_that_cannot_start_is_one_sentence(tmp_path, monkeypatch, prepare, limit):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    # Prefect's server may wait for a database for ever, instead of ending.
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "10")
    prepare(tmp_path / "prefect")
    declaration = write_project(tmp_path)
    done = subprocess.run(
        [*BRAID, "run", str(declaration)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=limit,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert str(tmp_path / "prefect") in done.stderr


def test_a_server_that_is_killed_is_started_anew_and_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    log = tmp_path / "log"
    command = start(["run", str(write_project(tmp_path))], log)
    until(lambda: processes_of(tmp_path, "transforms", "analyze"), told=log.read_text)
    for server in processes_of(tmp_path, "prefect.server.api.server:create_app"):
        os.kill(server, signal.SIGKILL)
    assert command.wait(400) == 0, log.read_text()
    until(lambda: not processes_of(tmp_path), seconds=20)
