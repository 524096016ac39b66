"""The public command, started from the sources as a process that a test may kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from transforms.contract.process.own_packages import python_m

BRAID = python_m("braid")


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts `braid ARGUMENTS`; what it prints is in the log."""
    with log.open("wb") as file:
        return subprocess.Popen(
            [*BRAID, *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            # A shell's background command has Ctrl-C ignored, and gives that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def printed_by(*arguments: str) -> str:
    """Returns what `braid ARGUMENTS` prints; it has to end well within five minutes."""
    done = subprocess.run(
        [*BRAID, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(
    reached: Callable[[], object],
    *,
    seconds: float = 120.0,
    step: float = 0.01,
    told: Callable[[], str] = str,
) -> None:
    """Waits for something that has to come within some seconds; `told` says why it did not."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s\n{told()}"
        time.sleep(step)


def kill_tree(pid: int) -> None:
    """Kills a process and its descendants at once, as when a machine is lost."""
    parents = {child: _parent(child) for child in processes()}
    doomed = {pid}
    while more := {child for child, parent in parents.items() if parent in doomed} - doomed:
        doomed |= more
    for each in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def processes_with(*words: str) -> list[int]:
    """Returns the processes whose command line has all these words."""
    wanted, matching = {word.encode() for word in words}, []
    for pid in processes():
        with contextlib.suppress(OSError):
            if wanted <= set(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")):
                matching.append(pid)
    return matching


def children(pid: int) -> list[int]:
    """Returns the processes that a process started and that live."""
    return [child for child in processes() if _parent(child) == pid]


def processes() -> Iterator[int]:
    return (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])
