"""`python -m transforms STEP JOB.json`; the steps are those of `_MODULES`."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module

from pydantic import BaseModel

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from transforms.contract.process.entry import run_step
from transforms.contract.process.events import report_doing
from transforms.contract.process.own_packages import full_name
from transforms.contract.process.startup import quick_start

_MODULES = {
    "analyze": "transforms.analysis.freeze",
    "doctor": "transforms.doctor",
    "expect": "transforms.analysis.expectations",
    "labels": "transforms.analysis.labels",
    "measure": "transforms.analysis.measure_drift",
    "monitor": "transforms.analysis.monitor",
    "transform": "transforms.shards.transform",
}


def _run(step: str, job: str) -> BaseModel:
    report_doing("loading Beam" if step == "doctor" else "loading TensorFlow and Beam")
    with quick_start():
        module = import_module(full_name(_MODULES[step]))
    return getattr(module, step)(job)  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(run_step({step: partial(_run, step) for step in _MODULES}, sys.argv[1:]))
