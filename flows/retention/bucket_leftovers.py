"""Leftovers of killed steps in a bucket, where nothing is renamed and names are listed by level."""

from __future__ import annotations

from collections.abc import Collection

from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.cache import CONTENTS_FILE, Contents, cache_of
from transforms.contract.workspace.documents import read_json
from transforms.contract.workspace.layout import (
    MANIFESTS_FOLDER,
    TRANSFORM_FILE,
    UNITS_FOLDER,
    address_of_unit,
)
from transforms.contract.workspace.manifest import ShardManifest

# In the order in which they go: without its manifest a partition is none.
_OF_A_TRANSFORM = (MANIFESTS_FOLDER, "rejects", "shards", UNITS_FOLDER)


def transforms_in_bucket(store: BucketPath) -> set[str]:
    """Returns the fingerprints of all transforms of which there is something."""
    folders = (store / kind for kind in ("transforms", *_OF_A_TRANSFORM))
    return {place.name for folder in folders for place in folder.children()}


def remove_from_bucket(store: BucketPath, transform: str) -> None:
    """Removes a transform with its shards; one that is killed is gone on with by the next run.

    The transform's manifest goes first, so that half a transform is none, and its folder last, by
    which what is left is seen.
    """
    own = store / "transforms" / transform
    cache_of(store.bucket).forget(own)
    (own / TRANSFORM_FILE).delete()
    for kind in _OF_A_TRANSFORM:
        (store / kind / transform).delete()
    own.delete()


def sweep_bucket(store: BucketPath, transform: str, kept: Collection[str]) -> None:
    """Removes what led to a commit, and every partition that is neither committed nor kept.

    Args:
        store: The bucket.
        transform: The transform's fingerprint.
        kept: The names in the store of the partitions to work on.
    """
    _sweep_transform(store / "transforms" / transform)
    shards, rejects, manifests, units = (
        store / kind / transform for kind in ("shards", "rejects", MANIFESTS_FOLDER, UNITS_FOLDER)
    )
    committed = {place.name.removesuffix(".json") for place in manifests.children()}
    begun = units.children()
    # Its units go last of all that a commit does: where there are some, it was killed, or is due.
    for name in committed.intersection(map(address_of_unit, begun)):
        named = read_json(manifests / f"{name}.json", ShardManifest).shards
        files = {shard.file for shard in named}
        for place in (shards / name).children():
            if place.name not in files:
                place.delete()
    names = {place.name for folder in (shards, rejects) for place in folder.children()}
    for name in names - committed - set(kept):
        (rejects / name).delete()
        (shards / name).delete()
    for place in begun:
        name = address_of_unit(place)
        if name in committed or name not in kept:
            place.delete()


def _sweep_transform(own: BucketPath) -> None:
    """Removes the files of attempts at a transform that another attempt committed."""
    names = {place.name for place in own.children()}
    if not {TRANSFORM_FILE, CONTENTS_FILE} <= names:
        return
    held = read_json(own / CONTENTS_FILE, Contents).files
    for name in names - {TRANSFORM_FILE, CONTENTS_FILE, *(each.stored for each in held)}:
        (own / name).delete()
