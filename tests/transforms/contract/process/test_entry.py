from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from transforms.contract.process import entry
from transforms.contract.process.events import Progress

PROGRAM = """
import sys
from pydantic import BaseModel
from transforms.contract.errors import BraidError
from transforms.contract.process.events import report
from transforms.contract.process.entry import run_step

class Answer(BaseModel):
    job: str

def good(job):
    report(1, 2, unit="rows", loss=0.5)
    return Answer(job=job)

def bad(job):
    raise BraidError("a.csv", expected="a table", received="nothing", action="Mend it.")

def missing(job):
    open("/nowhere/at/all")

def full(job):
    raise RuntimeError("ResourceExhaustedError: /w/x.tfrecord; No space left on device")

def bug(job):
    raise ZeroDivisionError

def waits(job):
    import time
    time.sleep(60)

sys.exit(run_step(globals(), sys.argv[1:]))
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    (tmp_path / "job.json").write_text("the job")
    return [sys.executable, "-c", PROGRAM]


def run(program: list[str], step: str, tmp_path: Path) -> tuple[int, list[dict[str, Any]], str]:
    process = subprocess.Popen(
        [*program, step, str(tmp_path / "job.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"BRAID_EVENTS_FD": "1"},
        text=True,
    )
    if process.stdout is None or process.stderr is None:
        raise RuntimeError
    events = [json.loads(line) for line in process.stdout]
    errors = process.stderr.read()
    return process.wait(), events, errors


def test_result_and_progress_reach_the_flow(program: list[str], tmp_path: Path) -> None:
    code, events, _ = run(program, "good", tmp_path)
    assert code == 0
    progress, result = events
    told = Progress(done=1, total=2, unit="rows", numbers={"loss": 0.5})
    assert Progress.model_validate(progress) == told
    assert result["event"] == "result"
    assert json.loads(result["result"]) == {"job": "the job"}
    assert 5e6 < result["peak_bytes"] < 1e9, "what an interpreter takes"


@pytest.mark.parametrize(
    ("step", "place", "received"),
    [
        ("bad", "a.csv", "nothing"),
        ("missing", "/nowhere/at/all", "No such file or directory"),
        ("full", "step 'full'", "No space left on device"),
    ],
)
def test_what_a_user_can_mend_is_told_without_a_traceback(
    program: list[str], tmp_path: Path, step: str, place: str, received: str
) -> None:
    code, events, errors = run(program, step, tmp_path)
    assert code == 1
    assert (events[-1]["error"]["place"], events[-1]["error"]["received"]) == (place, received)
    assert errors == ""


@pytest.mark.parametrize(
    "status",
    [
        "Name:\tbrüd\nVmHWM:\t   65536 kB\n".encode("latin-1"),
        b"Name:\tbraid\nVmRSS:\t   65536 kB\n",
        None,
    ],
    ids=["a name that is no UTF-8", "no peak in it", "no such file"],
)
def test_what_a_system_tells_of_memory_or_not_fails_no_step(
    status: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status"
    if status is not None:
        path.write_bytes(status)
    monkeypatch.setattr(entry, "_STATUS", path)
    assert 5e6 < entry._peak_bytes() < 1e11, "bytes, where the system counts kilobytes"


def test_bug_keeps_its_traceback(program: list[str], tmp_path: Path) -> None:
    code, events, errors = run(program, "bug", tmp_path)
    assert (code, events) == (1, [])
    assert "ZeroDivisionError" in errors


def test_step_ends_when_its_flow_is_gone(program: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*program, "waits", str(tmp_path / "job.json")], stdin=subprocess.PIPE
    )
    if process.stdin is None:
        raise RuntimeError
    process.stdin.close()
    assert process.wait(20) == 70
