"""Results of the steps that run in processes of their own, and the history of a training."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_EXCLUDED_IF_NONE = Field(exclude_if=lambda value: value is None)
_EXCLUDED_IF_EMPTY = Field(exclude_if=lambda value: not value)


class Result(BaseModel):
    """The base of what steps return across the border of their process, and of what files keep.

    What an older or newer version tells beside it is ignored.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", protected_namespaces=(), ser_json_inf_nan="constants"
    )


class RowsResult(Result):
    """The result of a step that reads rows.

    Attributes:
        rows: Rows that were read.
        partitions: Partitions that were read, which leaves out those that were done before.
        seconds: Working time, without the start of the process.
    """

    rows: int
    partitions: int
    seconds: float


class AnalyzeResult(RowsResult):
    """The result of an analysis.

    Attributes:
        logs: The targets that are learnt on a log scale.
    """

    logs: tuple[str, ...] = ()


class ExpectResult(RowsResult):
    """The result of holding partitions against what is expected of them, which they are."""


class MeasureResult(RowsResult):
    """The result of a measurement of drift; the distances lie in the workspace."""


class TransformResult(RowsResult):
    """The result of a transform; the shards lie in the workspace."""


class WarmStarted(Result):
    """The start of a training with the weights of a registered model.

    Attributes:
        version: The registered version.
        carried: How many of the network's weights have values of that version's.
        weights: How many the network has.
        fresh: The paths of the others, which began at random.
        terms: Of every vocabulary and every target with classes in these weights, by name, how
            many terms or labels that version knew, and how many there are.
        problem: Why nothing was carried over, if so.
    """

    version: str
    carried: int = 0
    weights: int
    fresh: tuple[str, ...] = ()
    terms: dict[str, tuple[int, int]] = {}
    problem: Annotated[str | None, _EXCLUDED_IF_NONE] = None

    def warnings(self) -> list[str]:
        """Returns what the run's record is to warn of."""
        if self.problem is None:
            return []
        return [f"No warm start from version {self.version}: {self.problem}"]


class TrainResult(Result):
    """The result of a training. What older versions did not tell has its default.

    Attributes:
        recipe: How it trained, in words.
        members: Networks that the model consists of.
        epochs: Whole epochs.
        steps: Optimizer steps.
        best_steps: Optimizer steps up to the best epoch.
        rows: Training rows.
        seconds: Time of the training steps.
        refit_seconds: Time of those of a second training, on all rows.
        rows_per_second: Training rows of all epochs by the seconds.
        best_epoch: The one whose weights are the model's, from 1.
        input_wait_share: The share of the seconds that the model waited for data.
        input_wait_share_by_epoch: The same of every round.
        transform_wait_seconds: Time beside those in which rows had yet to be transformed.
        parameters: Of the model.
        linear_shares: Of the linear model that the answers are blended with, by target.
        loss_weights: By target, if they were learnt.
        devices: What it trained on: GPUs, or the CPU.
        warm_start: What it began with, if that was a registered model.
        warnings: Sentences for the run's record, which has them apart.
    """

    recipe: str = ""
    members: int = 1
    epochs: int = 0
    steps: int = 0
    best_steps: int = 0
    rows: int = 0
    seconds: float = 0.0
    refit_seconds: float = 0.0
    rows_per_second: float = 0.0
    best_epoch: int | None = None
    input_wait_share: float = 0.0
    input_wait_share_by_epoch: tuple[float, ...] = ()
    transform_wait_seconds: float = 0.0
    parameters: int = 0
    linear_shares: dict[str, float] = {}
    loss_weights: dict[str, float] = {}
    devices: int = 1
    warm_start: Annotated[WarmStarted | None, _EXCLUDED_IF_NONE] = None
    warnings: Annotated[tuple[str, ...], _EXCLUDED_IF_EMPTY] = ()


class EpochRecord(Result):
    """A round of a training: one epoch, or several of a small table.

    Attributes:
        epoch: The number of its last epoch, from 0.
        steps: Optimizer steps of the training up to its end.
        loss: The total loss, a mean over the training rows while they were learnt.
        losses: The loss of every target, if there are several; what else the objective reports
            beside it, such as learnt weights or the discriminator's loss.
        validation_loss: None without validation rows.
        seconds: Time of its training steps, without validation, checkpoint, and waiting for the
            transform.
        rows_per_second: Training rows by those seconds.
        input_wait_share: The share of those seconds that the model waited for data.
        first_wait_share: The share of those seconds that it waited for the first batch.
        transform_wait_seconds: Time beside those in which rows had yet to be transformed.
        cpu_seconds: What the process took of all cores meanwhile.
    """

    epoch: int
    steps: int = 0
    loss: float
    losses: dict[str, float]
    validation_loss: float | None
    seconds: float
    rows_per_second: float
    input_wait_share: float
    first_wait_share: float = 0.0
    transform_wait_seconds: float = 0.0
    cpu_seconds: float = 0.0


class TrainingHistory(Result):
    """The content of `history.json`, which is written once a training is over.

    Attributes:
        result: What the training returned.
        epochs: Its rounds, in order.
    """

    result: TrainResult
    epochs: tuple[EpochRecord, ...] = ()


class ExportResult(Result):
    """The result of an export.

    Attributes:
        folder: Of the SavedModel.
        bytes: Of all its files.
    """

    folder: str
    bytes: int


class CheckResult(Result):
    """The result of a check: the export has answered, or the step would have failed."""


class TuneResult(Result):
    """The result of a tuning's trials, which lie in files of their own.

    Attributes:
        trials: Trials that this step ran.
        train: Training rows that they learnt.
        validation: Validation rows that they were compared on.
    """

    trials: int
    train: int
    validation: int
