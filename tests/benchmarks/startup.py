"""The cost of commands beside the work: help, checks, a small run, and one with nothing new.

`python -m tests.benchmarks.startup` takes some minutes.

Beside the commands stand an empty Python program and one that imports TensorFlow alone: a run
starts it six times. CPU time is that of a command with all its processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from flows.commands.exit_codes import EXIT_CODES
from flows.templates import create
from tests.benchmarks.report import Report

REPEATS = 3
ROWS = 100
_COMMAND = "from flows.commands.cli import main; main()"
_EMPTY, _TENSORFLOW = "python -c pass", 'python -c "import tensorflow"'
_HELP, _VALIDATE = "braid --help", "braid validate"
_RUN, _AGAIN = f"braid run, {ROWS} rows, one epoch", "braid run, nothing new"
_TO_REACH = {_HELP: "0.3 s", _VALIDATE: "2 s", _RUN: "40 s", _AGAIN: "15 s"}


@dataclass(frozen=True)
class Cost:
    """The cost of a command.

    Attributes:
        seconds: Wall seconds.
        cpu_seconds: User and system seconds of it and of the processes that it started.
    """

    seconds: float
    cpu_seconds: float


def timed(code: str, *arguments: str) -> Cost:
    """Runs Python code in a process of its own."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, EXIT_CODES["refused"]):
        raise SystemExit(f"{' '.join(arguments) or code} ended with status {status}")
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime)


def first_rows(declaration: Path, rows: int) -> None:
    """Cuts the CSV table beside a declaration to its first rows."""
    (table,) = (declaration.parent / "data").glob("*.csv")
    table.write_text("".join(table.read_text().splitlines(keepends=True)[: rows + 1]))


def main() -> None:
    """Runs every command in turn, several times, and reports medians."""
    costs: dict[str, list[Cost]] = {}
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            declaration = create("categorical-numeric", Path(folder) / "project")
            first_rows(declaration, ROWS)
            run = ("run", str(declaration), "--set", "training.epochs=1")
            commands = {
                _EMPTY: ("pass",),
                _TENSORFLOW: ("import tensorflow",),
                _HELP: (_COMMAND, "--help"),
                _VALIDATE: (_COMMAND, "validate", str(declaration)),
                _RUN: (_COMMAND, *run),
                _AGAIN: (_COMMAND, *run),
            }
            for name, command in commands.items():
                costs.setdefault(name, []).append(timed(*command))
    _report(costs).keep("startup")


def _report(costs: dict[str, list[Cost]]) -> Report:
    starts = median(
        run.cpu_seconds / alone.cpu_seconds
        for run, alone in zip(costs[_RUN], costs[_TENSORFLOW], strict=True)
    )
    return Report(
        title="Start-up",
        command="python -m tests.benchmarks.startup",
        columns=("command", "s", "CPU s", "to reach"),
        lines=[
            (
                name,
                f"{median(cost.seconds for cost in measured):.2f}",
                f"{median(cost.cpu_seconds for cost in measured):.2f}",
                _TO_REACH.get(name, ""),
            )
            for name, measured in costs.items()
        ],
        sentences=[
            f"A run of {ROWS} rows takes the CPU time of {starts:.1f} imports of TensorFlow; six "
            "of its steps are processes that import it."
        ],
        details={name: [asdict(cost) for cost in measured] for name, measured in costs.items()},
    )


if __name__ == "__main__":
    main()
