"""What monitoring hands to its steps, and gets back: served rows, and labels that come later."""

from __future__ import annotations

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.spec import Spec
from transforms.contract.steps.jobs import TransformedJob
from transforms.contract.steps.results import Result

ANSWERS_FILE = "answers.npz"  # of test rows, by output
LABELLED_FILE = "labelled.npz"  # of served rows whose labels came later: answers and truths
ANSWER_PREFIX = "answer."  # of an output's name there
TRUTH_PREFIX = "truth."  # of a target's name there: its labels as shards have them
KNOWN_PREFIX = "known."  # and which rows have one
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


class LabelsJob(TransformedJob):
    """Served rows, to be joined with the labels that came later.

    Attributes:
        days: The folders of the days of the log, the oldest first.
        labels: The table with the key and the columns of targets, as a source's path.
        version: Whose answers are meant.
        folder: Where `LABELLED_FILE` goes.
    """

    days: tuple[str, ...]
    labels: str
    version: str
    folder: str


class TargetLabels(Result):
    """The labels of one target, for rows that were served.

    Attributes:
        labelled: Rows with a label that can be used.
        missing: Rows without one.
        invalid: Rows with a value that is none, such as a text where a number is expected.
        unknown: Rows of a class that the training rows do not have.
    """

    labelled: int
    missing: int
    invalid: int
    unknown: int


class LabelsResult(Result):
    """The result of joining served rows and labels.

    Attributes:
        answered: Rows that the version answered for.
        other_versions: Rows that another version answered for, which are left out.
        keyless: Rows without a key, which nothing can be joined to.
        repeated: Rows whose key was served again later; the last answer counts.
        unlabelled: Rows with a key that the labels do not have (yet).
        joined: Rows with a key that they have.
        targets: What there is of every target, by name.
        absent: Targets that the table has no column of.
    """

    answered: int
    other_versions: int
    keyless: int
    repeated: int
    unlabelled: int
    joined: int
    targets: dict[str, TargetLabels]
    absent: tuple[str, ...] = ()
