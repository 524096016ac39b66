"""The work and the output of `braid prune`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from flows.console.harmless import say
from flows.records.record import RunRecord, pipelines, read_records
from flows.retention.old_models import (
    Prunable,
    prunable,
    remove_at_once,
    remove_interrupted,
    size_of,
)
from flows.steps.registration import reach_registry
from trainer.registry.registry import ModelRegistry
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock


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
            lock = workspace.lock("run", pipeline.name)
            stack.enter_context(exclusive_lock(lock, holder=f"pipeline {pipeline.name}"))
            remove_interrupted(workspace)
        old = _old(pipeline, workspace, registry, keep)
        size = sum(_show_version(registry, version) for version in old.versions)
        size += sum(_show_run(folder, record) for folder, record in old.runs)
        for reason in old.needed:
            say(f"  stays: {reason.what}, for {reason.why}")
        if not dry_run:
            _remove(workspace, registry, old)
    what = f"{len(old.versions):,} versions and {len(old.runs):,} runs, {size / 1e6:,.1f} MB"
    if not old.versions and not old.runs:
        say(f"Nothing is to go: the newest {keep} runs and versions stay, and what they need.")
    else:
        say(f"{what}, would go." if dry_run else f"{what}, are gone.")


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
    size = _size(registry.local_folders(version))
    say(f"  version {version.version} of {version.name}, {size:,} bytes, of run {version.run_id}")
    return size


def _show_run(folder: Path, record: RunRecord) -> int:
    size = size_of(folder)
    say(f"  run {record.run_id}, {size:,} bytes, {record.status}")
    return size


def _size(folders: Sequence[Path]) -> int:
    return sum(map(size_of, folders))


def _remove(workspace: Workspace, registry: ModelRegistry, old: Prunable) -> None:
    """Removes versions before their runs, so that no version lacks the run that explains it."""
    for version in old.versions:
        folders = registry.local_folders(version)
        registry.remove(version)
        for folder in folders:
            remove_at_once(workspace, folder)
    for folder, _ in old.runs:
        remove_at_once(workspace, folder)
