"""A step of the ETL, measured without its imports: `python -m tests.benchmarks.step JOB STEP`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.measuring import tell_cost
from transforms.analysis.freeze import analyze
from transforms.shards.transform import transform

if __name__ == "__main__":
    job, name = Path(sys.argv[1]).read_text(), sys.argv[2]
    tell_cost(lambda: {"analyze": analyze, "transform": transform}[name](job))
