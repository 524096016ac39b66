"""The result of an evaluation, as `evaluation.json` keeps it and the flow gets it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from transforms.contract.declaration.judgement.evaluation import DEFAULT_LEVEL, EvaluationSpec
from transforms.contract.steps.baselines import Baselines
from transforms.contract.steps.results import Result
from transforms.contract.workspace.documents import BRING_BACK, read_json

EVALUATION_FILE = "evaluation.json"

# The shares of the replicates at which a bootstrap's metric is kept.
LEVELS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995)


class CalibrationBin(Result):
    """Rows of similar probabilities.

    Attributes:
        promised: The mean of their probabilities.
        kept: The share of them that came true.
        rows: How many there are.
    """

    promised: float
    kept: float
    rows: int


class RocFigure(Result):
    """Of yes or no: the ROC curve, precision over recall, and calibration."""

    kind: Literal["roc"] = "roc"
    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]
    precision: tuple[float, ...] = ()
    recall: tuple[float, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()


class ConfusionFigure(Result):
    """Of classes: the confusion matrix, [true, predicted], and calibration of the likeliest."""

    kind: Literal["confusion"] = "confusion"
    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    calibration: tuple[CalibrationBin, ...] = ()


class ScatterFigure(Result):
    """Of numbers: pairs of true and predicted, and of a series its error at each step.

    Attributes:
        true: Of some rows, every number of each.
        predicted: Beside it.
        horizon: The mean absolute error at every step of a series or place of a list.
        series: Of the first rows, the true and the predicted first channel of a series.
    """

    kind: Literal["scatter"] = "scatter"
    true: tuple[float, ...]
    predicted: tuple[float, ...]
    horizon: tuple[float, ...] = ()
    series: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()


class PicturesFigure(Result):
    """Rows of pictures: what goes in, the truth, the prediction; PNG files in base64."""

    kind: Literal["pictures"] = "pictures"
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Figure = Annotated[
    RocFigure | ConfusionFigure | ScatterFigure | PicturesFigure, Field(discriminator="kind")
]


class Resampled(Result):
    """What a bootstrap makes of a metric.

    Attributes:
        quantiles: The values below which the `LEVELS` of the replicates lie.
    """

    quantiles: Annotated[tuple[float, ...], Field(min_length=len(LEVELS), max_length=len(LEVELS))]

    def at(self, level: float) -> float:
        """Returns the value below which a share of the replicates lies, straight between levels."""
        if level <= LEVELS[0]:
            return self.quantiles[0]
        if level >= LEVELS[-1]:
            return self.quantiles[-1]
        above = bisect_right(LEVELS, level)
        low, high = self.quantiles[above - 1 : above + 1]
        share = (level - LEVELS[above - 1]) / (LEVELS[above] - LEVELS[above - 1])
        return low + share * (high - low)

    def interval(self, level: float) -> tuple[float, float]:
        """Returns the interval with a share of the replicates, as much below it as above.

        The percentile interval of Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
        """
        return self.at((1 - level) / 2), self.at((1 + level) / 2)


class MeasuredRows(Result):
    """Some test rows: the model's metrics and the champion's on the very same rows.

    Attributes:
        rows: How many.
        metrics: The model's, by the names of the model's metrics.
        champion: The champion's.
        labelled: How many have a label, of every target; none in slices, and in files of older
            versions.
        resampled: What a bootstrap of these rows makes of the model's metrics.
        differences: And of the model's less the champion's, each replicate on the same rows.
    """

    rows: int
    metrics: dict[str, float] = {}
    champion: dict[str, float] = {}
    labelled: dict[str, int] = {}
    resampled: dict[str, Resampled] = {}
    differences: dict[str, Resampled] = {}


class MeasuredSlice(MeasuredRows):
    """The test rows that have something in common.

    Attributes:
        feature: By which they are told apart.
        label: What they have of it, such as a value, or the bounds of a number.
    """

    feature: str
    label: str


class Importance(Result):
    """How much worse the answers get where a column's values are dealt out to other rows.

    Attributes:
        column: The column; all features that it feeds change together.
        loss: What the mean loss of a row gains.
        error: The standard error of that mean.
    """

    column: str
    loss: float
    error: float


class RowShown(Result):
    """A test row with what the model saw and said.

    Attributes:
        loss: The row's, all targets together.
        values: Of every column that may be shown, as text.
        series: Of every longer list of numbers, those of its first channel; some of many.
        pictures: Of every picture, a small PNG in base64.
        answers: Per target the truth and the prediction, as text.
    """

    loss: float
    values: dict[str, str]
    series: dict[str, tuple[float, ...]] = {}
    pictures: dict[str, str] = {}
    answers: dict[str, tuple[str, str]]


class EvaluationResult(Result):
    """How good a model is on rows that it has not seen.

    Attributes:
        metrics: By "<split>_<target>_<metric>", and "<split>_loss".
        baselines: Those of answers that cost next to nothing, on the same rows.
        champion: The folder of the export of the champion that was scored beside it.
        champion_metrics: The champion's on the test rows; None if it has none.
        champion_problem: Why there is a champion that could not be scored.
        parity: The largest difference between export and shards; None without test rows.
        rows: Validation and test rows.
        figures: What is drawn of every target that has something to draw.
        warnings: What was odd, as sentences.
        declared: What the declaration asked for; None in files of older versions.
        test: All test rows; None without any, and where their metrics' terms are too large to keep.
        slices: Parts of them.
        importance: Of every column, the most important one first.
        worst: The test rows with the highest loss, the worst first.
    """

    metrics: dict[str, float]
    baselines: Baselines = Baselines()
    champion: str | None = None
    champion_metrics: dict[str, float] | None = None
    champion_problem: str | None = None
    parity: float | None = None
    rows: int
    figures: dict[str, Figure] = {}
    warnings: tuple[str, ...] = ()
    declared: EvaluationSpec | None = None
    test: MeasuredRows | None = None
    slices: tuple[MeasuredSlice, ...] = ()
    importance: tuple[Importance, ...] = ()
    worst: tuple[RowShown, ...] = ()

    @property
    def level(self) -> float:
        """The share of the bootstrap's metrics within an interval that is shown."""
        declared = None if self.declared is None else self.declared.intervals
        return declared or DEFAULT_LEVEL

    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """Returns the interval of every metric of the test rows that has one."""
        resampled = {} if self.test is None else self.test.resampled
        return {name: metric.interval(self.level) for name, metric in resampled.items()}


def read_evaluation(run_folder: Path) -> EvaluationResult | None:
    """Returns a run's evaluation, or None if there is none.

    Raises:
        DamagedFile: It is not as it was written.
    """
    path = run_folder / EVALUATION_FILE
    return read_json(path, EvaluationResult, action=BRING_BACK) if path.exists() else None
