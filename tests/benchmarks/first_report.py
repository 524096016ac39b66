"""The way of a new user: from a wheel and a CSV to the report, in an environment made for it.

    python -m tests.benchmarks.first_report [CSV TARGET]

By default with the table of the tutorial. `pip install` takes what the wheel requires from the
index that pip is configured with, and keeps no cache; how long that takes is the network's matter.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.report import Report

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/tutorial.md"
_TARGET = "late"
_TO_REACH = 300  # seconds in all


def main(table: Path | None, target: str) -> None:
    """Goes the way once, and reports the seconds of every command."""
    with tempfile.TemporaryDirectory(prefix="first-report-") as name:
        folder = Path(name)
        wheel = _wheel(folder)
        csv = folder / "orders.csv"
        if table is None:
            _tutorials_table(folder)
        else:
            shutil.copy(table, csv)
        seconds = {}
        for command in _commands(folder, wheel, csv, target):
            seconds[_shown(command)] = _timed(command, folder)
        (report,) = folder.glob("orders/workspace/runs/*/*/report.html")
        size = f"{report.stat().st_size / 1e3:,.0f} kB"
    _report(seconds, size).keep("first_report")


def _wheel(folder: Path) -> Path:
    """Builds the wheel of this checkout from a copy, as a build leaves files beside the code."""
    copy = folder / "checkout"
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for file in filter(None, files.split("\0")):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy / file)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(copy)], check=True)
    return next(folder.glob("*.whl"))


def _tutorials_table(folder: Path) -> None:
    code = re.search(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    assert code is not None
    subprocess.run([sys.executable, "-c", code[1]], cwd=folder, check=True)


def _commands(folder: Path, wheel: Path, csv: Path, target: str) -> list[list[str]]:
    """Returns what a user types, with whole paths."""
    venv.create(folder / "braid", with_pip=True)
    programs = folder / "braid/bin"
    braid, declaration = str(programs / "braid"), "orders/pipeline.yaml"
    return [
        [str(programs / "pip"), "install", "--quiet", "--no-cache-dir", str(wheel)],
        [braid, "init", "orders", "--from", str(csv), "--target", target],
        [braid, "validate", declaration],
        [braid, "run", declaration],
    ]


def _shown(command: Sequence[str]) -> str:
    hidden = ("--quiet", "--no-cache-dir")
    return " ".join(Path(p).name if p[:1] == "/" else p for p in command if p not in hidden)


def _timed(command: Sequence[str], folder: Path) -> float:
    """Returns the seconds of a command that sees nothing of the environment of this process."""
    own = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "VIRTUAL_ENV"))}
    own["PREFECT_HOME"] = str(folder / "prefect")
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{_shown(command)}: {done.stdout}{done.stderr}")
    return time.monotonic() - started


def _report(seconds: dict[str, float], size: str) -> Report:
    total = sum(seconds.values())
    return Report(
        title="From a wheel and a CSV to the report",
        command="python -m tests.benchmarks.first_report",
        columns=("command", "seconds"),
        lines=[(command, f"{each:.0f}") for command, each in seconds.items()],
        sentences=[
            f"In all {total:.0f} s; to reach are {_TO_REACH}. The report has {size}. Once, with "
            "all packages downloaded, and Prefect's database made anew."
        ],
        details=seconds,
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]).absolute() if given else None, given[1] if given else _TARGET)
