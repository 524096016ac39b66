"""`python -m transforms STEP JOB.json`; the steps are analyze, measure and transform."""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from transforms.contract.startup import quick_start
from transforms.contract.step import run_step


def _analyze(job: str) -> dict[str, Any]:
    with quick_start():
        from transforms.analysis import analyze

    return analyze(job)


def _measure(job: str) -> dict[str, Any]:
    from transforms.drift import measure

    return measure(job)


def _transform(job: str) -> dict[str, Any]:
    with quick_start():
        from transforms.transform import transform

    return transform(job)


if __name__ == "__main__":
    steps = {"analyze": _analyze, "measure": _measure, "transform": _transform}
    sys.exit(run_step(steps, sys.argv[1:]))
