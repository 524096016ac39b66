"""Scoring a table into a folder, partition by partition: what is done already is not done again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.console.progress import Reporter, StepView
from flows.console.wording import counted
from flows.prediction.open_partitions import OpenPartitions
from flows.prediction.predict import Scored, libraries_kept_quiet
from flows.prediction.prediction_file import refuse_output_folder
from flows.prediction.prediction_folder import Owner, PredictionFolder
from flows.prediction.score_job import SCORE, PartitionOutcome, ScoreJob, Scoring
from flows.prediction.unit_scoring import UnitScoring
from flows.steps.monitoring import declared_pipeline
from flows.steps.processes import Processes
from flows.steps.registration import find_version, open_registry
from flows.steps.work import search_path
from trainer.registry.version import RegisteredVersion
from trainer.run_folder import DECLARATION_FILE
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.source import SourceSpec
from transforms.contract.errors import BraidError, DeclarationError, storage_error
from transforms.contract.fingerprint import checksum, fingerprint
from transforms.contract.process.events import Progress
from transforms.contract.process.startup import quick_start
from transforms.contract.workspace.files import remove
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.reading.unlabelled import table_to_score
from transforms.source.scan import scan

_HERE = 1  # unit a partition: all cores work on the batches of one


@dataclass(frozen=True)
class FolderRequest:
    """A table to be scored into a folder.

    Attributes:
        pipeline: The declaration; it says which model is meant, and which runner scores.
        workspace: The folder of the registry.
        declaration: The path of the pipeline.yaml.
        source: The rows, a path or a URL.
        output: The folder, a path or a URL.
        alias: Which registered model.
        version: Its version instead.
        keep_invalid: Whether rows that training would reject get a prediction beside their error.
    """

    pipeline: PipelineSpec
    workspace: Workspace
    declaration: Path
    source: str
    output: str
    alias: str
    version: str | None = None
    keep_invalid: bool = False


@dataclass(frozen=True)
class FolderScored:
    """The outcome of scoring a table into a folder.

    Attributes:
        model: The model's name and version.
        partitions: What became of those that were not done yet.
        before: How many were.
    """

    model: str
    partitions: tuple[PartitionOutcome, ...]
    before: int

    def total(self) -> Scored:
        """Returns the sums of the partitions that are scored now."""
        reasons: Counter[str] = Counter()
        for outcome in self.partitions:
            reasons.update(outcome.reasons)
        return Scored(
            rows=sum(outcome.rows for outcome in self.partitions),
            scored=sum(outcome.scored for outcome in self.partitions),
            reasons=dict(reasons.most_common()),
        )

    def failed(self) -> int:
        """Returns how many partitions cannot be scored."""
        return sum(outcome.error is not None for outcome in self.partitions)


class Teller:
    """Tells a line a partition, and of one that fails again and again only what is new.

    Args:
        reporter: Where to.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self._failures: dict[str, str] = {}

    def partition(self, outcome: PartitionOutcome) -> None:
        """Tells what became of a partition."""
        if outcome.error is not None:
            self.failure(outcome.name, str(outcome.error.error()))
            return
        self.recovered(outcome.name)
        errors = sum(outcome.reasons.values())
        text = f"{counted(outcome.rows, 'row')} · {outcome.scored:,} scored · {errors:,} in error"
        self.reporter.done(outcome.name, text)

    def failure(self, name: str, text: str) -> None:
        """Tells why something failed, unless that was told last of it."""
        if self._failures.get(name) != text:
            self._failures[name] = text
            self.reporter.failed(name, text)

    def recovered(self, name: str) -> None:
        """Lets what failed be told again, should it fail as before."""
        self._failures.pop(name, None)


def score_folder(request: FolderRequest, teller: Teller) -> FolderScored:
    """Scores the partitions that the folder has not of this model's version and of their files.

    A partition that cannot be scored is told, and does not stop the others.

    Raises:
        BraidError: There is no such model, the rows cannot be listed, the folder is another's or
            lies among the rows, somebody else writes it, or the runner failed.
    """
    with _alone(request) as lock:
        return _score(request, teller, lock)


def follow(request: FolderRequest, teller: Teller, seconds: float) -> None:
    """Scores what is new or has changed, and looks for more again and again, until it is stopped.

    Once it has scored, an error is told and the next look tries again.

    Raises:
        BraidError: As of `score_folder`, by the first look.
    """
    with _alone(request) as lock:
        _score(request, teller, lock)
        while True:
            time.sleep(seconds)
            try:
                _score(request, teller, lock)
            except BraidError as error:
                teller.failure("follow", str(error))
            except OSError as error:  # of a bucket that does not answer, or a full disk
                teller.failure("follow", str(storage_error(error, request.output)))
            else:
                teller.recovered("follow")


@contextmanager
def _alone(request: FolderRequest) -> Iterator[int]:
    """Keeps other commands of this workspace out of the folder; gives the lock's descriptor."""
    path = request.workspace.lock("predictions", fingerprint(request.output))
    with exclusive_lock(path, holder=f"predictions in {request.output}") as lock:
        yield lock


def _score(request: FolderRequest, teller: Teller, lock: int) -> FolderScored:
    refuse_output_folder(request.output, request.source, request.pipeline.source)
    registry = open_registry(request.pipeline, request.workspace)
    name = request.pipeline.registered_name()
    registered = find_version(registry, name, alias=request.alias, version=request.version)
    export = registry.export_folder(registered)
    declared = declared_pipeline(export)
    _refuse_windows(request.output, declared)
    refuse_output_folder(request.output, request.source, declared.source)
    own = request.pipeline.source
    table = table_to_score(declared, request.source, own.partition_by, allow=own.allow)
    partitions = scan(table.source).partitions
    folder = PredictionFolder.open(request.output)
    folder.claim(_owner(request, name, table.source))
    scoring = _scoring(registered, export, keep_invalid=request.keep_invalid)
    undone = folder.undone(partitions, scoring)
    job = ScoreJob(
        table=table,
        beam=request.pipeline.beam,
        workspace=str(request.workspace.root),
        store=request.pipeline.declared_store(),
        export=str(export),
        scoring=scoring,
        output=request.output,
        partitions=tuple(undone),
    )
    outcomes: list[PartitionOutcome] = []

    def tell(outcome: PartitionOutcome) -> None:
        outcomes.append(outcome)
        teller.partition(outcome)

    if undone and job.beam.is_in_process:
        with teller.reporter.step("predict") as view:
            score_here(job, folder, view, tell)
    elif undone:
        _score_on_runner(request, job, teller.reporter, lock, tell)
    return FolderScored(
        model=f"{registered.name} version {registered.version}",
        partitions=tuple(outcomes),
        before=len(partitions) - len(undone),
    )


def _owner(request: FolderRequest, model: str, source: SourceSpec) -> Owner:
    rule = source.model_dump_json(include={"partition_by"}) if source.partition_by else ""
    return Owner(pipeline=request.pipeline.name, model=model, partition_by=rule)


def _scoring(registered: RegisteredVersion, export: Path, *, keep_invalid: bool) -> Scoring:
    return Scoring(
        model=registered.name,
        version=registered.version,
        declaration=checksum(export / DECLARATION_FILE),
        keep_invalid=keep_invalid,
    )


def _refuse_windows(output: str, declared: PipelineSpec) -> None:
    if declared.source.windows is not None:
        raise DeclarationError(
            f"--output {output}",
            expected="the name of a file, as a row is a window of the whole table",
            received="a folder",
            action="Give a name that ends in .parquet or .csv.",
        )


def score_here(
    job: ScoreJob,
    folder: PredictionFolder,
    view: StepView,
    tell: Callable[[PartitionOutcome], None],
) -> None:
    """Scores in this process, on all of its cores."""
    opened = OpenPartitions(job, folder, _HERE, tell)
    units = opened.units()
    known = [unit.rows() for unit in units]
    total = 0 if None in known else sum(rows for rows in known if rows is not None)
    done = 0

    def on_rows(rows: int) -> None:
        nonlocal done
        done += rows
        view.update(Progress(done=done, total=total, unit="rows"))

    work = UnitScoring(job, on_rows=on_rows)
    if units:
        with libraries_kept_quiet(), quick_start():
            work.open()
    for todo in opened.by_partition():
        for unit in todo:
            with libraries_kept_quiet():
                work.do(unit)


def _score_on_runner(
    request: FolderRequest,
    job: ScoreJob,
    reporter: Reporter,
    lock: int,
    tell: Callable[[PartitionOutcome], None],
) -> None:
    """Scores on the declared runner, from a process of its own, whose log stays if it fails."""
    folder = request.workspace.beam_jobs() / f"predict-{fingerprint(request.output)}"
    remove(folder)
    processes = Processes(folder, reporter, search_path(job.table, request.declaration))
    with processes.inheriting(lock):
        result = processes.run(SCORE, job).result
    remove(folder)
    for outcome in result.partitions:
        tell(outcome)
