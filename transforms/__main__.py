"""`python -m transforms analyze JOB.json` and `python -m transforms transform JOB.json`."""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from transforms.contract.step import importing, run_step


def _analyze(job: str) -> dict[str, Any]:
    with importing():
        from transforms.analysis import analyze
    return analyze(job)


def _transform(job: str) -> dict[str, Any]:
    with importing():
        from transforms.transform import transform
    return transform(job)


if __name__ == "__main__":
    sys.exit(run_step({"analyze": _analyze, "transform": _transform}, sys.argv[1:]))
