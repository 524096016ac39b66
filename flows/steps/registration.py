"""The registration of a run's model, and the look-up of a version for a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.records.record import RunRecord, read_records
from flows.steps.model_description import describe
from flows.steps.run_details import (
    details_of,
    end_of,
    library_tags,
    partitions_fingerprint,
)
from flows.steps.work import Work
from trainer.registry.champions import BY_TAG, this_person
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.secrets import expand
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition


def open_registry(pipeline: PipelineSpec, workspace: Workspace) -> ModelRegistry:
    """Returns the registry that the declaration names, or the workspace's own."""
    uri = pipeline.registry.uri
    return ModelRegistry(workspace.root, None if uri is None else expand(uri))


def reach_registry(
    pipeline: PipelineSpec, workspace: Workspace, *, may_begin: bool = False
) -> ModelRegistry:
    """Returns the registry, once it has answered: before hours of work end with one that is not.

    Args:
        pipeline: The declaration.
        workspace: Where everything lies.
        may_begin: Whether a new registry may take the place of one that is gone.

    Raises:
        BraidError: It does not answer, or refuses, or the workspace's own is gone.
    """
    registry = open_registry(pipeline, workspace)
    if not registry.is_missing:
        if pipeline.registry.uri is not None:
            registry.models()
        return registry
    for _, record in read_records(workspace, pipeline.name):
        if record.model is not None and record.model.registry is None and not may_begin:
            raise _lost(record, f"no {registry.address}")
    return registry


def refuse_lost_version(pipeline: PipelineSpec, workspace: Workspace, record: RunRecord) -> None:
    """Refuses to call a run finished whose model is no longer registered.

    Raises:
        BraidError: Something of it is missing.
    """
    if record.model is None:
        return
    registry = open_registry(pipeline, workspace)
    missing = registry.missing_part_of(record.model.name, record.model.version)
    if missing is not None:
        raise _lost(record, missing)


def _lost(record: RunRecord, missing: str) -> BraidError:
    return BraidError(
        f"the model of run {record.run_id}",
        expected="it in the registry, with its export",
        received=missing,
        action="Bring that back from a copy. Or give --retrain: `braid run` then trains a new "
        "model, and registers it where the registry is now.",
    )


def register_run(work: Work, record: RunRecord) -> str:
    """Registers a run's export as challenger and returns its version."""
    return open_registry(work.pipeline, work.workspace).register(
        work.pipeline.registered_name(),
        work.export_folder,
        run_id=f"{record.pipeline}/{record.run_id}",
        metrics=_metrics(record),
        tags=_tags(record, work.trained),
        shown=details_of(work, record),
        described=describe(work.pipeline.modelled(), work.trained),
    )


def note_end(work: Work, record: RunRecord, declaration: Path) -> None:
    """Notes in the registry how a run ended that has registered a version.

    Args:
        work: The run's.
        record: Its record.
        declaration: The path of the pipeline.yaml.

    Raises:
        BraidError: The registry cannot be reached.
    """
    if record.model is not None:
        registry = open_registry(work.pipeline, work.workspace)
        end = end_of(work.folder, record, declaration)
        registry.end_run(record.model.name, record.model.version, end)


def find_version(
    registry: ModelRegistry, name: str, *, alias: str, version: str | None
) -> RegisteredVersion:
    """Returns a registered version.

    Raises:
        BraidError: There is none of that number, or none with that alias.
    """
    registered = registry.find(name, alias=alias, version=version)
    if registered is not None:
        return registered
    known = registry.versions(name)
    raise BraidError(
        f"model '{name}'",
        expected=f"version {version}" if version else f"a version with the alias '{alias}'",
        received=", ".join(_named(item) for item in known)
        or (f"no {registry.address}" if registry.is_missing else "no registered version"),
        action="`braid models` lists the versions; --version or --alias chooses one; `braid run` "
        "registers one.",
    )


def _metrics(record: RunRecord) -> dict[str, float]:
    """Returns the model's metrics, and those of the baselines as `baseline.<answer>.<metric>`."""
    return record.metrics | {
        f"baseline.{answer}.{metric}": value
        for answer, metrics in record.baselines.scored().items()
        for metric, value in metrics.items()
    }


def _named(item: RegisteredVersion) -> str:
    return f"version {item.version} ({', '.join(item.aliases) or 'no alias'})"


def _tags(record: RunRecord, partitions: Sequence[Partition]) -> dict[str, str]:
    return {
        "braid.version": record.braid_version,
        BY_TAG: this_person(),
        "braid.pipeline": record.pipeline,
        "braid.transform": record.transform,
        "braid.data_fingerprint": record.data_fingerprint,
        "braid.training_fingerprint": record.training_fingerprint,
        # Names alone could be thousands of days; the fingerprint is of these and of their files.
        "braid.partitions": str(len(partitions)),
        "braid.first_partition": partitions[0].name,
        "braid.last_partition": partitions[-1].name,
        "braid.partitions_fingerprint": partitions_fingerprint(partitions),
        "braid.identity": record.identity,
        **library_tags(),
    }
