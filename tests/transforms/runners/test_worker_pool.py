"""Workers that a pool forks, and what happens if one, the pool or who asked for it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import until
from tests.support.job_server import ROOT
from transforms.runners.worker import worked_by

POOL = """
import os, sys, time
from pathlib import Path
from transforms.runners.worker_pool import serve

def work(worker, endpoint):
    import imported
    Path(endpoint).write_text(f"{worker} {os.getpid()} {os.getppid()} {imported.VERSION}")
    while worker == "endless":
        time.sleep(1)
    if worker == "broken":
        1 / 0

sys.path.insert(0, sys.argv[2])
import imported
serve(Path(sys.argv[1]), os.getppid(), (), work)
"""
ASKING = """
import sys
from transforms.runners.worker import worked_by
worked_by(*sys.argv[1:])
"""


@contextmanager
def running(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    (folder / "imported.py").write_text("VERSION = 1")
    return folder


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[int]:
    with running(POOL, str(folder / "socket"), str(folder)) as process:
        until((folder / "socket").exists)
        yield process.pid


def ask(folder: Path, worker: str) -> list[str]:
    told = folder / worker
    assert worked_by(str(folder / "socket"), worker, str(told))
    return told.read_text().split()


def test_a_worker_is_forked_from_the_pool(folder: Path, pool: int):
    name, _, parent, _ = ask(folder, "1-1")
    assert (name, int(parent)) == ("1-1", pool)


def test_a_worker_that_fails_is_told(folder: Path, pool: int):
    with pytest.raises(SystemExit, match="died"):
        ask(folder, "broken")


def test_a_worker_ends_with_the_process_that_asked_for_it(folder: Path, pool: int):
    told = folder / "endless"
    with running(ASKING, str(folder / "socket"), "endless", str(told)):
        until(lambda: told.exists() and told.read_text())
        worker = int(told.read_text().split()[1])
    until(lambda: state_of(worker) in ("Z", ""), seconds=10)


def state_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_a_pool_whose_modules_changed_starts_anew(folder: Path, pool: int):
    assert ask(folder, "before")[-1] == "1"
    (folder / "imported.py").write_text("VERSION = 22")
    assert not worked_by(str(folder / "socket"), "stale", str(folder / "stale"))
    assert not (folder / "stale").exists(), "no worker runs what is installed no more"
    until(lambda: worked_by(str(folder / "socket"), "after", str(folder / "after")), seconds=60)
    assert (folder / "after").read_text().split()[-1] == "22"


def test_without_a_pool_a_worker_is_on_its_own(tmp_path):
    assert not worked_by(str(tmp_path / "socket"), "1-1", "127.0.0.1:9")


def test_a_pool_ends_with_its_owner(tmp_path):
    (tmp_path / "imported.py").write_text("VERSION = 1")
    owner = f"""
    import subprocess, sys
    print(subprocess.Popen([sys.executable, "-c", {POOL!r}, *sys.argv[1:]]).wait())
    """
    with running(owner, str(tmp_path / "socket"), str(tmp_path)) as process:
        until((tmp_path / "socket").exists)
        process.send_signal(signal.SIGKILL)
    until(lambda: not (tmp_path / "socket").exists(), seconds=20)
