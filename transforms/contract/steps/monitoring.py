"""What monitoring hands to its steps, and gets back: served rows beside those of the training."""

from __future__ import annotations

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.spec import Spec
from transforms.contract.steps.results import Result

ANSWERS_FILE = "answers.npz"  # of test rows, by output
ANSWER_PREFIX = "answer."  # of an output's name there
DAY_FOLDER = "logged="  # and the day in UTC, in a log of served rows
LOGGED_PREFIX = "prediction."  # of an answer's column in a log of served rows
VERSION_COLUMN = "braid.version"  # of such a log: which version answered


class MonitorJob(Spec):
    """A day of served rows, to be held against what a registered model was made of.

    Attributes:
        pipeline: The declaration that the model was trained with.
        statistics: The folder of the frozen statistics of its transform.
        log: The folder of the day's rows, Parquet files as `braid serve --log` writes them.
        answers: The file with the model's answers for its test rows, if there are any.
        version: Whose answers of the day are compared with these.
    """

    pipeline: PipelineSpec
    statistics: str
    log: str
    answers: str | None
    version: str


class Compared(Result):
    """A feature or an answer of a day beside the reference.

    Attributes:
        p_value: How likely such a difference is if both are of one distribution.
        distance: The Jensen-Shannon distance of the two, from 0 to 1.
        is_alarm: Whether it differs, by more than chance and by enough to matter.
    """

    p_value: float
    distance: float
    is_alarm: bool = False


class MonitorResult(Result):
    """The result of monitoring a day.

    Attributes:
        rows: Rows that were compared.
        refused: Rows that training would have rejected, which are not.
        answers: Rows whose answers were compared.
        features: By feature.
        predictions: By output.
    """

    rows: int
    refused: int
    answers: int
    features: dict[str, Compared]
    predictions: dict[str, Compared]


class AnswersResult(Result):
    """The result of scoring test rows with a registered model.

    Attributes:
        rows: How many.
    """

    rows: int
