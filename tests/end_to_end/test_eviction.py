"""A pod that is evicted: SIGTERM, a grace that is too short, and SIGKILL for all that is in it."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from tests.end_to_end.test_signals import processes_of, write_project
from tests.support.command import start, until

pytestmark = pytest.mark.slow

_GRACE_SECONDS = 1.0  # of some 10 that a run waits for a step that does not end


def test_a_run_that_is_killed_while_it_ends_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    declaration, log = write_project(tmp_path), tmp_path / "log"
    evicted = start(["run", str(declaration)], log)
    until(lambda: processes_of(tmp_path, "transforms", "analyze"), seconds=300, told=log.read_text)
    for step in processes_of(tmp_path, "transforms", "analyze"):
        os.kill(step, signal.SIGSTOP)  # it is deaf to SIGTERM
    evicted.send_signal(signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    evicted.kill()
    for left in processes_of(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    assert evicted.wait(60) == -signal.SIGKILL, "it waited for its step"
    until(lambda: not processes_of(tmp_path), seconds=20, told=lambda: str(processes_of(tmp_path)))

    again = start(["run", str(declaration)], log)
    until(lambda: "✓ analyze" in log.read_text(), seconds=300, told=log.read_text)
    again.terminate()
    assert again.wait(60) == 143, log.read_text()
    assert len(list((tmp_path / "workspace" / "runs" / "flats").iterdir())) == 1, "the same run"
