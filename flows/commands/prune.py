"""The work and the output of `braid prune`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted
from flows.process.pipeline_lock import pipeline_lock
from flows.records.record import RunRecord, pipelines, read_records
from flows.retention.pruning import (
    Prunable,
    Reason,
    prunable,
    remove_interrupted,
    remove_run,
    remove_version,
    size_of,
)
from flows.steps.registration import reach_registry
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.layout import Workspace


@dataclass(frozen=True)
class Pruned:
    """The runs and versions that went, or that would go.

    Attributes:
        removed: Whether they are gone.
        versions: The bytes of each version, by its number, the oldest first.
        runs: The bytes of each run, by its id.
        stays: What is as old, and is needed.
    """

    removed: bool
    versions: dict[str, int]
    runs: dict[str, int]
    stays: tuple[Reason, ...]

    def size(self) -> int:
        """Returns the bytes of all of them."""
        return sum(self.versions.values()) + sum(self.runs.values())


def prune(pipeline: PipelineSpec, workspace: Workspace, *, keep: int, dry_run: bool) -> None:
    """Removes old runs and versions that nothing needs, and says what went and how large it was.

    Args:
        pipeline: The declaration.
        workspace: Where everything lies.
        keep: How many of the newest runs and versions stay in any case.
        dry_run: Only say what would go.

    Raises:
        BraidError: A run of the pipeline is going on, or the registry cannot be reached.
    """
    registry = reach_registry(pipeline, workspace)
    with ExitStack() as stack:
        if not dry_run:
            stack.enter_context(pipeline_lock(workspace, pipeline.name))
            remove_interrupted(workspace, pipeline.name, registry)
        old = _old(pipeline, workspace, registry, keep)
        pruned = Pruned(
            removed=not dry_run,
            versions={v.version: _show_version(registry, v) for v in old.versions},
            runs={record.run_id: _show_run(folder, record) for folder, record in old.runs},
            stays=old.needed,
        )
        for reason in old.needed:
            say(f"  stays: {reason.what}, for {reason.why}")
        if not dry_run:
            _remove(workspace, pipeline.name, registry, old)
    versions, runs = counted(len(old.versions), "version"), counted(len(old.runs), "run")
    if not old.versions and not old.runs:
        say(f"Nothing is to go: the newest {keep} runs and versions stay, and what they need.")
    else:
        verb = "would go" if dry_run else "are gone"
        say(f"{versions} and {runs}, {pruned.size() / 1e6:,.1f} MB, {verb}.")
    give(pruned)


def _old(
    pipeline: PipelineSpec, workspace: Workspace, registry: ModelRegistry, keep: int
) -> Prunable:
    name = pipeline.registered_name()
    others = [other for other in pipelines(workspace) if other != pipeline.name]
    return prunable(
        pipeline.name,
        read_records(workspace, pipeline.name),
        registry.versions(name),
        registry.history(name),
        keep=keep,
        others=[record for other in others for _, record in read_records(workspace, other)],
    )


def _show_version(registry: ModelRegistry, version: RegisteredVersion) -> int:
    size = sum(map(size_of, registry.local_folders(version)))
    say(f"  version {version.version} of {version.name}, {size:,} bytes, of run {version.run_id}")
    return size


def _show_run(folder: Path, record: RunRecord) -> int:
    size = size_of(folder)
    say(f"  run {record.run_id}, {size:,} bytes, {record.status}")
    return size


def _remove(workspace: Workspace, pipeline: str, registry: ModelRegistry, old: Prunable) -> None:
    """Removes versions before their runs, so that no version lacks the run that explains it."""
    for version in old.versions:
        remove_version(workspace, pipeline, registry, version)
    for folder, _ in old.runs:
        remove_run(workspace, pipeline, folder)
