"""Leftovers of killed steps in a store. Nothing else would remove them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from flows.retention.bucket_leftovers import (
    remove_from_bucket,
    sweep_bucket,
    transforms_in_bucket,
)
from flows.retention.exclusion import Hold, exclusive
from flows.retention.needed_shards import Needed
from transforms.contract.errors import BraidError
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.files import TEMPORARY, remove, remove_temporaries
from transforms.contract.workspace.layout import MANIFEST_FILE, Workspace
from transforms.contract.workspace.partition import Partition

_UNUSED = f"{TEMPORARY}unused-"  # and the name of a transform that is being removed


def remove_leftovers(
    workspace: Workspace,
    transform: str,
    partitions: Collection[Partition],
    hold: Hold,
    others: Needed,
) -> None:
    """Removes what killed steps left of a transform.

    Args:
        workspace: Where everything lies.
        transform: The transform's fingerprint.
        partitions: Those to work on: what is finished of them is kept for the next attempt.
        hold: Keeps others from the transform.
        others: What other workspaces need, which is kept for them, too.
    """
    kept = [workspace.shards(transform, *part.id).name for part in partitions]
    store = workspace.stored
    if isinstance(store, BucketPath):
        sweep_bucket(store, transform, [*kept, *_theirs(workspace, transform, others)], hold.check)
        return
    _sweep(workspace, store, transform, kept)
    for part in partitions:
        manifest = workspace.read_shards(transform, *part.id)
        if manifest is None:
            continue
        # A commit that was killed after the manifest has not removed what led to it.
        named = {MANIFEST_FILE, *(shard.file for shard in manifest.shards)}
        folder = store / "shards" / transform / workspace.shards(transform, *part.id).name
        for path in list(folder.iterdir()):
            if path.name not in named:
                remove(path)


def _theirs(workspace: Workspace, transform: str, others: Needed) -> list[str]:
    """Returns the names in the store of the partitions of a transform that others need."""
    parts = (part for name, part in others.shards if name == transform)
    return [workspace.shards(transform, *part).name for part in parts]


def remove_leftovers_of_others(workspace: Workspace, transform: str, others: Needed) -> None:
    """Does so for every other transform that nobody works on at the moment.

    What a removal that was killed has left of a transform goes with the rest of it.

    Args:
        workspace: Where everything lies.
        transform: The transform that is not meant.
        others: What other workspaces need: they clean up there by themselves.
    """
    for other in sorted(_transforms(workspace) - {transform} - others.transforms):
        # What another run works on, or another user owns, is not this run's business.
        with (
            suppress(BraidError, OSError),
            exclusive(workspace, "transform", other) as hold,
        ):
            _remove_leftovers_of(workspace, other, hold)


def _remove_leftovers_of(workspace: Workspace, transform: str, hold: Hold) -> None:
    store = workspace.stored
    if isinstance(store, BucketPath):
        if workspace.read_transform(transform) is None:
            remove_transform(workspace, transform, hold)
        sweep_bucket(store, transform, (), hold.check)
        return
    own, unused = _own_and_unused(store, transform)
    if unused.is_dir() and not own.is_dir():
        remove_transform(workspace, transform, hold)
    _sweep(workspace, store, transform, ())


def remove_transform(workspace: Workspace, name: str, hold: Hold) -> None:
    """Removes a transform with its shards, from which the hold keeps others."""
    store = workspace.stored
    if isinstance(store, BucketPath):
        remove_from_bucket(store, name, hold.check)
        remove(workspace.root / "drift" / name)
        return
    own, unused = _own_and_unused(store, name)
    # Away first, so that half a transform is none. It goes last: it says that the rest is to go.
    if own.is_dir():
        remove(unused)
        own.rename(unused)
    for folder in _beside(workspace, store):
        remove(folder / name)
    remove(unused)


def _own_and_unused(store: Path, name: str) -> tuple[Path, Path]:
    folder = store / "transforms"
    return folder / name, folder / f"{_UNUSED}{name}"


def _beside(workspace: Workspace, store: Path) -> tuple[Path, Path, Path]:
    """Returns the folders that have one of a transform, beside that of the transforms."""
    return store / "shards", store / "rejects", workspace.root / "drift"


def _transforms(workspace: Workspace) -> set[str]:
    store = workspace.stored
    if isinstance(store, BucketPath):
        return transforms_in_bucket(store)
    folders = [store / "transforms", *_beside(workspace, store)]
    paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    # One that is not committed yet is ".tmp-<number>-<fingerprint>".
    return {path.name.rpartition("-")[2] for path in paths if path.is_dir()}


def _sweep(workspace: Workspace, store: Path, transform: str, kept: Collection[str]) -> None:
    """Removes temporaries and every partition that is neither committed nor kept."""
    own = store / "transforms" / transform
    for path in list(own.parent.glob(f"{TEMPORARY}*-{transform}")):
        remove(path)
    folders = [folder / transform for folder in _beside(workspace, store)]
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
