"""The comparison of a day of served rows with what the champion was made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from flows.console.progress import Reporter
from flows.process.child import StepDied
from flows.records.record import RunRecord, read_record
from flows.steps.processes import Processes
from flows.steps.registration import find_version, reach_registry
from flows.steps.work import search_path
from trainer.registry.champions import CHAMPION
from trainer.registry.version import RegisteredVersion
from trainer.run_folder import DECLARATION_FILE
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.monitoring import (
    ANSWERS_FILE,
    DAY_FOLDER,
    MonitorJob,
    MonitorResult,
)
from transforms.contract.steps.step import ANSWERS, MONITOR
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.layout import TRANSFORM_FILE, Workspace
from transforms.contract.workspace.partition import Partition
from transforms.source.partitions import choose
from transforms.source.scan import partition_value


@dataclass(frozen=True)
class Champion:
    """The champion with what a day of served rows is held against.

    Attributes:
        version: The version in the registry.
        export: The folder of its export.
        pipeline: The declaration that it was trained with.
        transform: The folder of its frozen transform.
    """

    version: RegisteredVersion
    export: Path
    pipeline: PipelineSpec
    transform: Path


def days_of(log: Path, day: str | None) -> list[Path]:
    """Returns the folders of the days of a log, the oldest first, or of the one that is asked for.

    Raises:
        DeclarationError: There is no such day.
    """
    days = sorted(path for path in log.glob(f"{DAY_FOLDER}*") if path.is_dir())
    if day is not None:
        days = [path for path in days if path.name == DAY_FOLDER + day]
    if not days:
        raise DeclarationError(
            f"--log {log}" if day is None else f"--day {day}",
            expected="served rows, as `braid serve --log` keeps them",
            received="none",
            action="Give the folder that was given there, and a day of it.",
        )
    return days


def monitor(
    pipeline: PipelineSpec, workspace: Workspace, declaration: Path, day: Path, reporter: Reporter
) -> tuple[RegisteredVersion, MonitorResult]:
    """Compares a day of served rows with the rows that the champion learnt, and with its answers.

    Args:
        pipeline: The declaration, which says which registry and model are meant.
        workspace: Where the champion's transform and test rows are.
        declaration: The path of the pipeline.yaml.
        day: The folder of the day.
        reporter: Is told about progress.

    Returns:
        The champion, and how the day differs. Without the test rows, answers are not compared.

    Raises:
        BraidError: There is no champion, its transform is gone, or no row can be compared.
    """
    champion = find_champion(pipeline, workspace)
    own = champion.pipeline
    with scratch() as folder:
        processes = Processes(folder, reporter, search_path(own, declaration))
        answers = _test_job(workspace, champion, folder)
        if answers is not None:
            processes.run(ANSWERS, answers)
        job = MonitorJob(
            pipeline=own,
            statistics=str(champion.transform / "statistics"),
            log=str(day),
            answers=None if answers is None else str(folder / ANSWERS_FILE),
            version=champion.version.version,
        )
        return champion.version, processes.run(MONITOR, job).result


def find_champion(pipeline: PipelineSpec, workspace: Workspace) -> Champion:
    """Returns the champion of a pipeline's model.

    Raises:
        BraidError: There is none, or its transform is gone.
    """
    registry = reach_registry(pipeline, workspace)
    version = find_version(registry, pipeline.registered_name(), alias=CHAMPION, version=None)
    export = registry.export_folder(version)
    name = version.tags.get("braid.transform", "none")
    transform = workspace.transform(name)
    if not (transform / TRANSFORM_FILE).exists():
        raise BraidError(
            f"version {version.version} of {version.name}",
            expected=f"the statistics that it was frozen on, in {transform}",
            received="no such folder",
            action="A run that makes a new champion keeps its statistics until the next one.",
        )
    # The shards are where the present declaration says, wherever they were then.
    declared = declared_pipeline(export).model_copy(update={"store": pipeline.store})
    return Champion(version, export, declared, workspace.transform_folder(name))


@contextmanager
def scratch() -> Iterator[Path]:
    """Yields a folder that goes with the block, unless a step dies: its error names its log."""
    folder = Path(mkdtemp(prefix="braid-monitor-"))
    try:
        yield folder
    except StepDied:
        raise
    except BaseException:
        rmtree(folder)
        raise
    rmtree(folder)


def declared_pipeline(export: Path) -> PipelineSpec:
    """Returns the declaration that an export was trained with, without loading its model.

    Raises:
        DamagedFile: It is not as it was written.
    """
    path = export / DECLARATION_FILE
    with reading(path):
        document = json.loads(path.read_bytes())
        return PipelineSpec.model_validate_json(json.dumps(document["pipeline"]))


def _test_job(workspace: Workspace, champion: Champion, folder: Path) -> TrainJob | None:
    """Returns the job of answering for the champion's test rows; None if they are not all there."""
    version, pipeline = champion.version, champion.pipeline
    record = None if version.run is None else read_record(workspace.run(*version.run))
    if record is None:
        return None
    tested = choose(_partitions(pipeline, record), pipeline.training)
    parts = [part.id for part in tested]
    if len(workspace.committed(record.transform, parts)) < len(parts):
        return None
    return TrainJob(
        pipeline=pipeline,
        workspace=str(workspace.root),
        transform=record.transform,
        partitions=tuple(parts),
        run_folder=str(folder),
        champion=str(champion.export),
    )


def _partitions(pipeline: PipelineSpec, record: RunRecord) -> list[Partition]:
    """Returns the partitions that a run's source had, as far as its record tells of them."""
    return [
        Partition(
            name=name,
            value=partition_value(pipeline.source, name),
            fingerprint=fingerprint,
            files=(),
        )
        for name, fingerprint in record.partitions.items()
    ]
