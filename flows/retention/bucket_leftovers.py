"""Leftovers of killed steps in a bucket, where nothing is renamed and names are listed by level."""

from __future__ import annotations

from collections.abc import Callable, Collection

from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.cache import CONTENTS_FILE, Contents, cache_of
from transforms.contract.workspace.documents import read_json
from transforms.contract.workspace.layout import (
    MANIFESTS_FOLDER,
    REMOVED,
    TRANSFORM_FILE,
    UNITS_FOLDER,
    address_of_unit,
)
from transforms.contract.workspace.manifest import ShardManifest

# In the order in which they go: without its manifest a partition is none.
_OF_A_TRANSFORM = (MANIFESTS_FOLDER, "rejects", "shards", UNITS_FOLDER)


def transforms_in_bucket(store: BucketPath) -> set[str]:
    """Returns the fingerprints of all transforms of which there is something."""
    kinds = ("transforms", MANIFESTS_FOLDER, UNITS_FOLDER)
    return {folder.name for kind in kinds for folder in (store / kind).folders()}


def remove_from_bucket(store: BucketPath, transform: str, check: Callable[[], None]) -> None:
    """Removes a transform with its shards; one that is killed is gone on with by the next run.

    The transform's manifest goes first, so that half a transform is none, and its folder last, by
    which what is left is seen.

    Args:
        store: The bucket.
        transform: The transform's fingerprint.
        check: Refuses each removal without the transform's lease.
    """
    own = store / "transforms" / transform
    cache_of(store.bucket).forget(own)
    for place in (
        own / TRANSFORM_FILE,
        *(store / kind / transform for kind in _OF_A_TRANSFORM),
        own,
    ):
        check()
        place.delete()


def sweep_bucket(
    store: BucketPath, transform: str, kept: Collection[str], check: Callable[[], None]
) -> None:
    """Removes what led to a commit, and every partition that is neither committed nor kept.

    What is begun has its plan or receipts: those are listed, and no partition.

    Args:
        store: The bucket.
        transform: The transform's fingerprint.
        kept: The names in the store of the partitions that somebody works on, or goes on with.
        check: Refuses each removal without the transform's lease.
    """
    _sweep_transform(store / "transforms" / transform, check)
    shards, rejects, manifests, units = (
        store / kind / transform for kind in ("shards", "rejects", MANIFESTS_FOLDER, UNITS_FOLDER)
    )
    committed = {place.name.removesuffix(".json") for place in manifests.children()}
    # They come first of all that a partition has, and go last.
    begun: dict[str, list[BucketPath]] = {}
    for place in units.children():
        begun.setdefault(address_of_unit(place), []).append(place)
    for name, places in begun.items():
        goes_on = name in kept and units / f"{name}.{REMOVED}.json" not in places
        unneeded: list[BucketPath] = []
        if name in committed:
            unneeded += _unnamed(shards / name, manifests / f"{name}.json")
        elif not goes_on:
            unneeded += (rejects / name, shards / name)
        if name in committed or not goes_on:
            unneeded += places
        if unneeded:
            check()
        for place in unneeded:
            place.delete()


def _unnamed(shards: BucketPath, manifest: BucketPath) -> list[BucketPath]:
    """Returns what a commit that was killed left: objects that its manifest does not name."""
    named = {shard.file for shard in read_json(manifest, ShardManifest).shards}
    return [place for place in shards.children() if place.name not in named]


def _sweep_transform(own: BucketPath, check: Callable[[], None]) -> None:
    """Removes the files of attempts at a transform that another attempt committed."""
    names = {place.name for place in own.children()}
    if not {TRANSFORM_FILE, CONTENTS_FILE} <= names:
        return
    held = read_json(own / CONTENTS_FILE, Contents).files
    for name in names - {TRANSFORM_FILE, CONTENTS_FILE, *(each.stored for each in held)}:
        check()
        (own / name).delete()
