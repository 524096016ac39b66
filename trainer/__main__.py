"""`python -m trainer STEP JOB.json`: a step of a run, in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from transforms.contract.process.entry import run_step
from transforms.contract.process.events import report_doing
from transforms.contract.process.startup import quick_start
from transforms.contract.steps.evaluation import EvaluationResult, MeasuredRows
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.monitoring import AnswersResult
from transforms.contract.steps.results import (
    CheckResult,
    ExportResult,
    TrainResult,
    TuneResult,
)
from transforms.contract.steps.tuning import TuneJob

# Before TensorFlow is imported: its C++ notes would drown the step's log.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextmanager
def _loading() -> Iterator[None]:
    report_doing("loading TensorFlow")
    with quick_start():
        yield


def _hide_gpus() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def _train(job: str) -> TrainResult:
    with _loading():
        from trainer.training.training import train

    return train(TrainJob.model_validate_json(job))


def _tune(job: str) -> TuneResult:
    with _loading():
        from trainer.tuning.trials import tune

    return tune(TuneJob.model_validate_json(job))


def _evaluate(job: str) -> EvaluationResult:
    with _loading():
        from trainer.evaluation.evaluation import evaluate

    return evaluate(TrainJob.model_validate_json(job))


def _export(job: str) -> ExportResult:
    # Traced beside a GPU, an LSTM becomes a cuDNN operation that no other machine can run.
    _hide_gpus()
    with _loading():
        from trainer.export.export import export

    return export(TrainJob.model_validate_json(job))


def _check(job: str) -> CheckResult:
    _hide_gpus()  # it runs beside the evaluation, which has the GPU's memory as a whole
    with _loading():
        from trainer.export.serving import check

    return check(TrainJob.model_validate_json(job))


def _answers(job: str) -> AnswersResult:
    _hide_gpus()  # it may run beside a training, which has the GPU's memory as a whole
    with quick_start():
        from trainer.export.answers import answers

    return answers(TrainJob.model_validate_json(job))


def _live(job: str) -> MeasuredRows:
    _hide_gpus()  # as for `answers`
    with _loading():
        from trainer.evaluation.live import live

    return live(TrainJob.model_validate_json(job))


if __name__ == "__main__":
    steps = {
        "train": _train,
        "tune": _tune,
        "evaluate": _evaluate,
        "export": _export,
        "check": _check,
        "answers": _answers,
        "live": _live,
    }
    sys.exit(run_step(steps, sys.argv[1:]))
