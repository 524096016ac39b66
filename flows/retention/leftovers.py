"""What killed steps and changed sources left in a workspace. Nothing else would remove it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress

from flows.records.record import RunRecord, pipelines, read_records, read_tunings
from transforms.contract.errors import BraidError
from transforms.contract.workspace.files import remove, remove_temporaries
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.partition import Partition

_KINDS = ("transforms", "shards", "rejects")
_MANIFEST = "manifest.json"


def remove_leftovers(
    workspace: Workspace, transform: str, partitions: Collection[Partition]
) -> None:
    """Removes what killed steps left of a transform. The caller holds the transform's lock.

    Args:
        workspace: Where everything lies.
        transform: The transform's fingerprint.
        partitions: Those to work on: what is finished of them is kept for the next attempt.
    """
    kept = [workspace.shards(transform, part.name, part.fingerprint).name for part in partitions]
    _sweep(workspace, transform, kept)
    for part in partitions:
        manifest = workspace.read_shards(transform, part.name, part.fingerprint)
        if manifest is None:
            continue
        # A commit that was killed after the manifest has not removed what led to it.
        named = {_MANIFEST, *(shard.file for shard in manifest.shards)}
        for path in list(workspace.shards(transform, part.name, part.fingerprint).iterdir()):
            if path.name not in named:
                remove(path)


def remove_leftovers_of_others(workspace: Workspace, transform: str) -> None:
    """Does so for every other transform that nobody works on at the moment."""
    for other in sorted(_transforms(workspace) - {transform}):
        # What another run works on, or another user owns, is not this run's business.
        with (
            suppress(BraidError, OSError),
            exclusive_lock(workspace.lock("transform", other), holder=f"transform {other}"),
        ):
            _sweep(workspace, other, ())


def remove_superseded(
    workspace: Workspace, pipeline: str, transform: str, partitions: Collection[Partition]
) -> list[str]:
    """Removes the shards of files that a pipeline's source had once and has no more.

    Shards that another pipeline's newest run works with stay. The caller holds the transform's
    lock.

    Args:
        workspace: Where everything lies.
        pipeline: The pipeline's name.
        transform: The transform's fingerprint.
        partitions: What the source has now.

    Returns:
        The names of the partitions.
    """
    kept = {(part.name, part.fingerprint) for part in partitions}
    for other in pipelines(workspace):
        records = [record for _, record in read_records(workspace, other)]
        newest = [r for r in records if not r.abandoned][-1:] if other != pipeline else []
        kept |= {item for r in newest if r.transform == transform for item in r.partitions.items()}
    own = [*read_records(workspace, pipeline), *read_tunings(workspace, pipeline)]
    past = partitions_of_runs([record for _, record in own], transform)
    removed = []
    for name, fingerprint in sorted(past - kept):
        if workspace.is_committed(transform, name, fingerprint):
            remove(workspace.rejects(transform, name, fingerprint))
            folder = workspace.shards(transform, name, fingerprint)
            remove(folder / _MANIFEST)  # first, so that half a partition is none
            remove(folder)
            removed.append(name)
    return removed


def partitions_of_runs(records: Iterable[RunRecord], transform: str) -> set[tuple[str, str]]:
    """Returns name and fingerprint of all that runs with a transform found in their source."""
    return {
        item
        for record in records
        if record.transform == transform
        for item in (*record.partitions.items(), *record.past_partitions)
    }


def _transforms(workspace: Workspace) -> set[str]:
    folders = [workspace.root / kind for kind in _KINDS]
    paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    # One that is not committed yet is ".tmp-<number>-<fingerprint>".
    return {path.name.rpartition("-")[2] for path in paths if path.is_dir()}


def _sweep(workspace: Workspace, transform: str, kept: Collection[str]) -> None:
    """Removes temporaries and every partition that is neither committed nor kept."""
    folders = [workspace.root / kind / transform for kind in _KINDS]
    for path in list(folders[0].parent.glob(f".tmp-*-{transform}")):
        remove(path)
    for folder in folders:
        if folder.is_dir():
            remove_temporaries(folder)
    _, shards, rejects = folders
    found = {
        path.name for folder in (shards, rejects) if folder.is_dir() for path in folder.iterdir()
    }
    for name in found - set(kept):
        if not (shards / name / _MANIFEST).exists():
            remove(rejects / name)
            remove(shards / name)
