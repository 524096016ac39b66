"""Servers that are not there or hang, through the public command: one sentence, in seconds."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.end_to_end.test_signals import write_project
from tests.support import stand_ins
from tests.support.command import BRAID

pytestmark = pytest.mark.slow

# A few for the question, the rest for the start of Python on a busy machine.
_SECONDS = 25


@pytest.fixture(params=["refuses", "hangs"])
def address(request) -> Iterator[str]:
    bad = stand_ins.nobody() if request.param == "refuses" else stand_ins.server(stand_ins.hang)
    with bad as where:
        yield where


def _told(project, *arguments: str) -> str:
    started = time.monotonic()
    done = subprocess.run(
        [*BRAID, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert time.monotonic() - started < _SECONDS
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(project.rglob("run.json"))
    return done.stderr


@pytest.mark.parametrize(
    ("command", "scheme"),
    [("run", "http"), ("run", "postgresql"), ("tune", "http"), ("backfill", "http"),
     ("models", "postgresql")],
)  # fmt: skip
def test_a_registry_that_does_not_answer_is_told_before_any_work(
    tmp_path, address, command, scheme
):
    declaration = write_project(tmp_path)
    uri = f"{scheme}://me:pass-word@{address}/x"
    told = _told(tmp_path, command, str(declaration), "--set", f"registry.uri={uri}")
    assert f"the registry at {scheme}://me:***@{address}/x" in told
    assert "refused" in told or "no answer" in told or "timed out" in told


@pytest.mark.parametrize("command", ["run", "backfill", "deploy"])
def test_a_prefect_server_that_does_not_answer_is_told_before_any_work(
    tmp_path, address, command, monkeypatch
):
    declaration = write_project(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", f"http://{address}/api")
    told = _told(tmp_path, command, str(declaration))
    assert f"PREFECT_API_URL, http://{address}/api" in told
    assert "refused" in told or "no answer" in told or "timed out" in told
