"""The record of a run for people and for the next run: `run.json` in the run's folder."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_validator,
)

from flows.records.kept import KeptRecord, WorkRecord, read_all, read_kept, write_kept
from transforms.contract.steps.baselines import Baselines
from transforms.contract.steps.evaluation import EvaluationResult
from transforms.contract.steps.results import TrainResult
from transforms.contract.steps.tuning import Tuning
from transforms.contract.workspace.drift import JudgedDrift
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import RejectCount, ReplacedCount
from transforms.contract.workspace.partition import PartitionId

# Of a run's folder.
RECORD_FILE = "run.json"
DECLARED_FILE = "declaration.json"  # all of the declaration, without secrets
SUMMARY_FILE = "summary.md"
PICTURE_FILE = "report.png"
PAGE_FILE = "report.html"
FINISHED = ("promoted", "refused")
DISTRIBUTION = "braid-pipelines"  # as pip lists it

_EXCLUDED_IF_NONE = Field(exclude_if=lambda value: value is None)

Status = Literal["running", "promoted", "refused", "failed", "stopped", "killed"]


class StepRecord(KeptRecord):
    """One step of a run.

    Attributes:
        name: The step's name.
        seconds: How long it took; None for a step that had nothing to do.
        rows: Rows that it worked on, if rows are what it works on.
        rows_per_second: As the step itself measured it, or rows by seconds.
        note: Why it had nothing to do, or what it did.
        beside: Those of the seconds in which another step was under way too.
        peak_bytes: Resident memory of its largest process, in bytes, if it had one of its own.
        written_bytes: Bytes of the shards or of the export that it wrote.
    """

    name: str
    seconds: float | None = None
    rows: int | None = None
    rows_per_second: float | None = None
    note: str = ""
    beside: float = 0.0
    peak_bytes: Annotated[int | None, _EXCLUDED_IF_NONE] = None
    written_bytes: Annotated[int | None, _EXCLUDED_IF_NONE] = None


class ModelVersion(KeptRecord):
    """A registered model.

    Attributes:
        name: Of the registered model.
        version: Its number, as text.
        registry: Where, if not in the workspace's own registry.
    """

    name: str
    version: str
    registry: str | None = None

    def page(self) -> str | None:
        """Returns the address of its page in MLflow's UI, or None where no server shows one."""
        if self.registry is None or not self.registry.startswith(("http://", "https://")):
            return None
        server = urlsplit(self.registry)
        address = server._replace(netloc=server.netloc.rpartition("@")[2]).geturl().rstrip("/")
        name, version = quote(self.name, safe=""), quote(self.version, safe="")
        return f"{address}/#/models/{name}/versions/{version}"


class GateRecord(KeptRecord):
    """The gate's decision and its reason.

    Attributes:
        passed: Whether the model may become the champion.
        reasons: What was compared, as sentences.
    """

    passed: bool
    reasons: tuple[str, ...] = ()


class RunRecord(WorkRecord):
    """One run: what it worked on, what came out, and how it ended.

    Attributes:
        run_id: Its name, and that of its folder: when it began, and what it is of.
        status: "running" stays of a process that was killed, until a later run finds it so.
        abandoned: Whether no run will go on with it, as rows or declaration are others since; how
            it ended stays.
        braid_version: The version of this software.
        identity: The fingerprint of all that shapes the model: declaration, transform, rows.
        judgement: The fingerprint of gate, registry and budget of rejected rows: they change no
            model, but its fate.
        transform: The fingerprint of the transform that made its shards.
        data_fingerprint: Of what the declaration says of the data.
        training_fingerprint: Of what it says of the model and of its training.
        partitions: The fingerprint of every partition's source files, by the partition's name.
        past_partitions: Those, with their fingerprints, that the source had when the run was begun
            or resumed before, and no longer has.
        drift: How far new partitions are from those that the newest transform was frozen on, where
            that decided on a refit.
        rows: Usable rows per split, of the partitions that train.
        source_rows: Rows that these have in the source, unusable ones included and those left out
            not.
        left_out: Rows that they have there and `source.where` leaves out.
        rejects: The rows that were rejected, by column and reason.
        replaced: The values that were replaced by their default, by column and reason.
        steps: The steps that have ended, in the order of their ends.
        metrics: Of the model, by name.
        baselines: The metrics of answers that cost next to nothing, on the model's rows.
        champion_metrics: Of the champion on the same rows.
        champion_problem: Why the champion could not be scored, if there is one.
        compared_with: The version of the champion that was scored beside the new model.
        warm_start: The version that the training was to begin with, whatever the champion is since.
        training: What the training step told: epochs, seconds, parameters and the like.
        tuning: The trials that its keys were chosen by, of a run after a tuning.
        warnings: What analysis, training and evaluation found odd, as sentences.
        parity: How far predictions from shards and from the exported model are apart.
        gate: The gate's decision, once there is one.
        model: The registered model, once it is registered.
    """

    run_id: str
    status: Status = "running"
    abandoned: bool = False
    braid_version: str
    identity: str
    judgement: str
    transform: str
    data_fingerprint: str
    training_fingerprint: str
    partitions: dict[str, str]
    past_partitions: list[PartitionId] = []
    drift: JudgedDrift | None = None
    rows: dict[str, int] = {}
    source_rows: int = 0
    left_out: int = 0
    rejects: list[RejectCount] = []
    replaced: list[ReplacedCount] = []
    steps: list[StepRecord] = []
    warm_start: str | None = None
    training: TrainResult | None = None
    tuning: Tuning | None = None
    metrics: dict[str, float] = {}
    baselines: Baselines = Baselines()
    champion_metrics: dict[str, float] | None = None
    champion_problem: str | None = None
    compared_with: str | None = None
    parity: float | None = None
    warnings: list[str] = []
    gate: GateRecord | None = None
    model: ModelVersion | None = None

    @field_validator("training", mode="before")
    @classmethod
    def _training_that_has_not_ended(cls, training: Any) -> Any:
        return training or None

    @field_serializer("training", mode="wrap")
    def _as_older_versions_read_it(
        self, training: TrainResult | None, serialize: SerializerFunctionWrapHandler
    ) -> Any:
        return {} if training is None else serialize(training)

    @field_validator("status", mode="before")
    @classmethod
    def _status_of_older_versions(cls, status: Any) -> Any:
        return "killed" if status == "abandoned" else status

    @model_validator(mode="after")
    def _end_of_older_versions(self) -> Self:
        if self.status == "killed":
            # Only a run that nobody goes on with is recorded so, and none with an error now.
            self.abandoned = True
            self.status = "failed" if self.error else "killed"
        return self

    def end_as(self, status: Literal["stopped", "failed"]) -> None:
        """Sets how it ended."""
        self.status = status

    def may_be_resumed(self) -> bool:
        """Returns whether it has not ended, or not well, and a run may go on with it."""
        return self.status not in FINISHED and not self.abandoned

    def step(self, name: str) -> StepRecord | None:
        """Returns a step's record, or None if it has not ended yet."""
        return next((step for step in self.steps if step.name == name), None)

    def put_step(self, step: StepRecord) -> None:
        """Adds a step's record in the place of an earlier one of the same name."""
        self.steps = [s for s in self.steps if s.name != step.name] + [step]

    def note_training(self, result: TrainResult) -> None:
        """Notes a training; a new model has yet to be exported and judged."""
        self.warnings = list(result.warnings)
        self.training = result.model_copy(update={"warnings": ()})
        self.forget_steps("export", "evaluate", "check", "register", "gate", "promote")

    def evaluated(self, result: EvaluationResult, compared_with: str | None) -> None:
        """Notes an evaluation, which has yet to be judged.

        Args:
            result: The metrics.
            compared_with: The version of the champion that was scored beside the model.
        """
        self.metrics = result.metrics
        self.baselines = result.baselines
        self.champion_metrics = result.champion_metrics
        self.champion_problem = result.champion_problem
        self.parity = result.parity
        self.warnings = list(dict.fromkeys([*self.warnings, *result.warnings]))
        self.compared_with = compared_with
        self.forget_steps("gate")

    def note_partitions(self, partitions: dict[str, str]) -> None:
        """Notes what the source has now, and what it had when an earlier attempt looked."""
        past = self.ever_seen()
        self.partitions = partitions
        self.past_partitions = sorted(past - self.partition_ids())

    def partition_ids(self) -> set[PartitionId]:
        """Returns the partitions that the source has."""
        return {PartitionId(*item) for item in self.partitions.items()}

    def ever_seen(self) -> set[PartitionId]:
        """Returns the partitions that the source has or had when an earlier attempt looked."""
        return self.partition_ids() | set(self.past_partitions)

    def forget_steps(self, *names: str) -> None:
        """Removes steps that have to be done again."""
        self.steps = [step for step in self.steps if step.name not in names]

    def rejected(self) -> int:
        """Returns the number of rejected rows."""
        return sum(reject.rows for reject in self.rejects)

    def seconds(self) -> float:
        """Returns how long the steps took, without the time between the attempts of a run."""
        return sum((step.seconds or 0.0) - step.beside for step in self.steps)


def braid_version() -> str:
    """Returns the installed version of this software."""
    return version(DISTRIBUTION)


def write_record(folder: Path, record: RunRecord) -> None:
    """Writes a run's record, whole or not at all."""
    write_kept(folder / RECORD_FILE, record)


def read_record(folder: Path) -> RunRecord | None:
    """Returns a run's record, or None if there is none.

    Raises:
        DamagedFile: It is not as it was written.
    """
    return read_kept(folder / RECORD_FILE, RunRecord)


def read_records(workspace: Workspace, pipeline: str) -> list[tuple[Path, RunRecord]]:
    """Returns a pipeline's runs with their folders, the oldest first."""
    return read_all(workspace.runs(pipeline), RECORD_FILE, RunRecord)


def read_tunings(workspace: Workspace, pipeline: str) -> list[tuple[Path, RunRecord]]:
    """Returns a pipeline's tunings with their folders, the oldest first.

    Each has the record of the steps up to its shards.
    """
    tunings = read_all(workspace.tunings(pipeline), RECORD_FILE, RunRecord)
    return sorted(tunings, key=lambda tuning: tuning[1].started)


def pipelines(workspace: Workspace) -> list[str]:
    """Returns the names of the pipelines that ran in a workspace, or were backfilled or tuned."""
    kinds = (workspace.runs, workspace.backfills, workspace.tunings)
    parents = [folder_of("any").parent for folder_of in kinds]
    folders = [path for parent in parents if parent.is_dir() for path in parent.iterdir()]
    return sorted({path.name for path in folders if path.is_dir()})
