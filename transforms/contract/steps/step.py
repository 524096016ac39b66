"""The steps that run in processes of their own: their modules, jobs and results, by type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from transforms.contract.spec import Spec
from transforms.contract.steps.doctor import DoctorJob, DoctorResult
from transforms.contract.steps.evaluation import EvaluationResult, MeasuredRows
from transforms.contract.steps.jobs import TrainJob, TransformJob
from transforms.contract.steps.monitoring import (
    AnswersResult,
    LabelsJob,
    LabelsResult,
    MonitorJob,
    MonitorResult,
)
from transforms.contract.steps.results import (
    AnalyzeResult,
    CheckResult,
    ExpectResult,
    ExportResult,
    MeasureResult,
    TrainResult,
    TransformResult,
    TuneResult,
)
from transforms.contract.steps.tuning import TuneJob

_J = TypeVar("_J", bound=Spec)
_R = TypeVar("_R", bound=BaseModel, covariant=True)


@dataclass(frozen=True)
class Step(Generic[_J, _R]):
    """A step as `python -m MODULE NAME JOB.json`.

    Attributes:
        module: The package that runs it: "transforms" or "trainer".
        name: Its name in that package's table of steps.
        job: The type of what it is handed over with.
        result: The type of what it returns.
    """

    module: str
    name: str
    job: type[_J]
    result: type[_R]


ANALYZE = Step("transforms", "analyze", TransformJob, AnalyzeResult)
DOCTOR = Step("transforms", "doctor", DoctorJob, DoctorResult)
EXPECT = Step("transforms", "expect", TransformJob, ExpectResult)
MEASURE = Step("transforms", "measure", TransformJob, MeasureResult)
MONITOR = Step("transforms", "monitor", MonitorJob, MonitorResult)
LABELS = Step("transforms", "labels", LabelsJob, LabelsResult)
TRANSFORM = Step("transforms", "transform", TransformJob, TransformResult)
TRAIN = Step("trainer", "train", TrainJob, TrainResult)
EXPORT = Step("trainer", "export", TrainJob, ExportResult)
EVALUATE = Step("trainer", "evaluate", TrainJob, EvaluationResult)
CHECK = Step("trainer", "check", TrainJob, CheckResult)
ANSWERS = Step("trainer", "answers", TrainJob, AnswersResult)
LIVE = Step("trainer", "live", TrainJob, MeasuredRows)
TUNE = Step("trainer", "tune", TuneJob, TuneResult)

# What may be handed over to another machine, by name.
TRAINER_STEPS: dict[str, Step[TrainJob, BaseModel]] = {
    step.name: step for step in (TRAIN, EXPORT, EVALUATE, CHECK)
}
