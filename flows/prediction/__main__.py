"""`python -m flows.prediction score JOB.json`: a scoring by a runner, in a process of its own.

That process loads Beam, which the command does not, and its workers load TensorFlow.
"""

from __future__ import annotations

import os
import sys

from flows.prediction.score_job import SCORE, ScoreResult
from transforms.contract.process.entry import run_step
from transforms.contract.process.events import report_doing
from transforms.contract.process.startup import quick_start

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _score(job: str) -> ScoreResult:
    report_doing("loading Beam")
    with quick_start():
        from flows.prediction.runner_step import score
    report_doing("waiting for the runner")
    return score(job)


if __name__ == "__main__":
    sys.exit(run_step({SCORE.name: _score}, sys.argv[1:]))
