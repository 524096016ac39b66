"""A pod that is evicted: SIGTERM, a grace that is too short, and SIGKILL for all that is in it."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.end_to_end.test_signals import processes_of, write_project
from tests.support.command import kill_tree, start, until

pytestmark = pytest.mark.slow

_GRACE_SECONDS = 2.0


def test_a_run_that_is_killed_while_it_ends_goes_on_and_comes_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    declaration, log = write_project(tmp_path), tmp_path / "log"
    evicted = start(["run", str(declaration)], log)
    until(lambda: processes_of(tmp_path, "trainer", "train"), told=log.read_text)
    for step in processes_of(tmp_path, "trainer", "train"):
        os.kill(step, signal.SIGSTOP)  # it is deaf to SIGTERM, and would be for the run's 10 s
    evicted.send_signal(signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    assert evicted.poll() is None, "it waits for its step"
    kill_tree(evicted.pid)
    assert evicted.wait(60) == -signal.SIGKILL
    until(lambda: not processes_of(tmp_path), seconds=20, told=lambda: str(processes_of(tmp_path)))

    assert start(["run", str(declaration)], log).wait(300) == 0, log.read_text()
    (record,) = (tmp_path / "workspace" / "runs" / "flats").glob("*/run.json")
    told = json.loads(record.read_text())
    assert told["status"] == "promoted"
    assert sum(told["rows"][split] for split in ("train", "validation", "test")) == 60
