"""Leftovers of killed steps in a workspace. Nothing else would remove them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from transforms.contract.errors import BraidError
from transforms.contract.workspace.files import TEMPORARY, remove, remove_temporaries
from transforms.contract.workspace.layout import MANIFEST_FILE, Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.partition import Partition

_OF_A_TRANSFORM = ("shards", "rejects", "drift")  # folders beside that of the transforms
_UNUSED = f"{TEMPORARY}unused-"  # and the name of a transform that is being removed


def remove_leftovers(
    workspace: Workspace, transform: str, partitions: Collection[Partition]
) -> None:
    """Removes what killed steps left of a transform. The caller holds the transform's lock.

    Args:
        workspace: Where everything lies.
        transform: The transform's fingerprint.
        partitions: Those to work on: what is finished of them is kept for the next attempt.
    """
    kept = [workspace.shards(transform, *part.id).name for part in partitions]
    _sweep(workspace, transform, kept)
    for part in partitions:
        manifest = workspace.read_shards(transform, *part.id)
        if manifest is None:
            continue
        # A commit that was killed after the manifest has not removed what led to it.
        named = {MANIFEST_FILE, *(shard.file for shard in manifest.shards)}
        for path in list(workspace.shards(transform, *part.id).iterdir()):
            if path.name not in named:
                remove(path)


def remove_leftovers_of_others(workspace: Workspace, transform: str) -> None:
    """Does so for every other transform that nobody works on at the moment.

    What a removal that was killed has left of a transform goes with the rest of it.
    """
    for other in sorted(_transforms(workspace) - {transform}):
        # What another run works on, or another user owns, is not this run's business.
        with (
            suppress(BraidError, OSError),
            exclusive_lock(workspace.lock("transform", other), holder=f"transform {other}"),
        ):
            if _unused(workspace, other).is_dir() and not workspace.transform(other).is_dir():
                remove_transform(workspace, other)
            _sweep(workspace, other, ())


def remove_transform(workspace: Workspace, name: str) -> None:
    """Removes a transform with its shards. The caller holds the transform's lock."""
    folder, unused = workspace.transform(name), _unused(workspace, name)
    # Away first, so that half a transform is none. It goes last: it says that the rest is to go.
    if folder.is_dir():
        remove(unused)
        folder.rename(unused)
    for kind in _OF_A_TRANSFORM:
        remove(workspace.root / kind / name)
    remove(unused)


def _unused(workspace: Workspace, name: str) -> Path:
    return workspace.transform(f"{_UNUSED}{name}")


def _transforms(workspace: Workspace) -> set[str]:
    folders = [workspace.root / kind for kind in ("transforms", *_OF_A_TRANSFORM)]
    paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    # One that is not committed yet is ".tmp-<number>-<fingerprint>".
    return {path.name.rpartition("-")[2] for path in paths if path.is_dir()}


def _sweep(workspace: Workspace, transform: str, kept: Collection[str]) -> None:
    """Removes temporaries and every partition that is neither committed nor kept."""
    own = workspace.transform(transform)
    for path in list(own.parent.glob(f"{TEMPORARY}*-{transform}")):
        remove(path)
    folders = [workspace.root / kind / transform for kind in _OF_A_TRANSFORM]
    for folder in (own, *folders):
        if folder.is_dir():
            remove_temporaries(folder)
    shards, rejects, _ = folders
    names = {
        path.name for folder in (shards, rejects) if folder.is_dir() for path in folder.iterdir()
    }
    for name in names - set(kept):
        if not (shards / name / MANIFEST_FILE).exists():
            remove(rejects / name)
            remove(shards / name)
