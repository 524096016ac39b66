"""Runs every benchmark, each in a process of its own, and writes RESULTS.md.

`python -m tests.benchmarks [NAME ...]`; without names, all of them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.report import RESULTS, page

BENCHMARKS = {
    "etl": ["etl"],
    "tabular": ["tabular"],
    "wide": ["tabular", "wide"],
    "growth": ["growth"],
    "photographs": ["photographs"],
    "refit": ["refit"],
    "daily": ["daily"],
    "stream": ["stream"],
    "overlap": ["overlap"],
    "gpu": ["gpu"],
    "predict": ["predict"],
    "serving": ["serving"],
    "monitoring": ["monitoring"],
    "startup": ["startup"],
}
_PAGE = Path(__file__).parent / "RESULTS.md"
_HEAD = """# What was measured

Made by `make bench`; every ratio is of figures from one run, every figure the median of at least
three. These machines are shared: seconds are noisy, ratios within a run less so, and CPU time
least. [PROFILE.md](PROFILE.md) says where the time of a row goes.
"""


def main(names: list[str]) -> int:
    """Returns 1 if a benchmark failed; the others are run and written all the same."""
    failed = [name for name in names or BENCHMARKS if not _ran(name)]
    kept = [page(name) for name in BENCHMARKS if (RESULTS / f"{name}.json").exists()]
    _PAGE.write_text("\n".join([_HEAD, "\n\n".join(kept), ""]))
    sys.stdout.write(f"{_PAGE}\n")
    for name in failed:
        sys.stderr.write(f"the benchmark {name} failed\n")
    return 1 if failed else 0


def _ran(name: str) -> bool:
    module, *arguments = BENCHMARKS[name]
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
