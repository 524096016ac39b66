"""Checks of a store in a bucket: every object against the size and checksum that it was written by.

All of it comes over the network once; nothing of it is kept on this machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from flows.checks.defects import REMADE, Defect, defect_of
from flows.checks.tables import read_statistics, rows_of
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.cache import CONTENTS_FILE, Contents, download_whole
from transforms.contract.workspace.documents import read_json, reading
from transforms.contract.workspace.files import TEMPORARY, sizes_in
from transforms.contract.workspace.layout import MANIFESTS_FOLDER, TRANSFORM_FILE
from transforms.contract.workspace.manifest import ShardManifest, TransformManifest


def check_bucket(store: BucketPath, looked_at: Counter[str]) -> Iterator[Defect]:
    """Yields what is wrong with the transforms, shards, rejects and statistics of a bucket.

    Args:
        store: The bucket.
        looked_at: Takes what was looked at, in words.
    """
    frozen = set()
    for own in (store / "transforms").folders():
        if (own / TRANSFORM_FILE).exists():
            frozen.add(own.name)
            looked_at["transform"] += 1
            yield from _transform(store, own)
    for transform in (store / MANIFESTS_FOLDER).folders():
        for manifest in transform.children():
            looked_at["partition"] += 1
            yield from _partition(store, manifest, looked_at, is_frozen=transform.name in frozen)
    for folder in (store / "statistics").folders():
        for place in folder.children():
            if not place.name.startswith(TEMPORARY):
                looked_at["statistics file"] += 1
                yield from defect_of(place, _read_by(read_statistics), place, removes=(place,))


def _transform(store: BucketPath, own: BucketPath) -> Iterator[Defect]:
    kinds = (MANIFESTS_FOLDER, "shards", "rejects")
    # The manifest first: half a transform is none.
    removes = (own / TRANSFORM_FILE, *(store / kind / own.name for kind in kinds), own)
    manifest, contents = own / TRANSFORM_FILE, own / CONTENTS_FILE
    yield from defect_of(manifest, _read_transform, manifest, removes=removes)
    defects = defect_of(contents, _read_contents, contents, removes=removes)
    yield from defects
    for held in () if defects else _read_contents(contents).files:
        place, read = own / held.stored, _comparison(held.bytes, held.checksum)
        yield from defect_of(place, read, place, removes=removes)


def _partition(
    store: BucketPath, manifest: BucketPath, looked_at: Counter[str], *, is_frozen: bool
) -> Iterator[Defect]:
    transform, name = manifest.parent.name, manifest.name.removesuffix(".json")
    folder, rejects = (store / kind / transform / name for kind in ("shards", "rejects"))
    removes = (manifest, folder, rejects)
    if not is_frozen:
        yield Defect(folder, "shards of a transform that is gone", REMADE, removes)
        return
    defects = defect_of(manifest, _read_manifest, manifest, removes=removes)
    yield from defects
    if defects:
        return
    committed = _read_manifest(manifest)
    sizes = sizes_in(folder)
    for shard in committed.shards:
        looked_at["shard"] += 1
        place = folder / shard.file
        if shard.file not in sizes:
            yield Defect(place, "no such object, which the manifest names", REMADE, removes)
        elif sizes[shard.file] != shard.bytes:
            what = f"{sizes[shard.file]:,} bytes, of {shard.bytes:,} in the manifest"
            yield Defect(place, what, REMADE, removes)
        else:
            read = _comparison(shard.bytes, shard.checksum)
            yield from defect_of(place, read, place, removes=removes)
    rows: list[int] = []
    for place in rejects.children():
        read = _read_by(lambda path: rows.append(rows_of(path)))
        defects += defect_of(place, read, place, removes=removes)
    yield from defects
    if not defects and sum(rows) != committed.rejected():
        what = f"not the {committed.rejected():,} rejected rows of the manifest"
        yield Defect(rejects, what, REMADE, removes)


def _read_transform(place: BucketPath) -> None:
    with reading(place):
        _refuse_other(read_json(place, TransformManifest).fingerprint, place.parent.name)


def _read_contents(place: BucketPath) -> Contents:
    return read_json(place, Contents)


def _read_manifest(place: BucketPath) -> ShardManifest:
    manifest = read_json(place, ShardManifest)
    with reading(place):
        _refuse_other(manifest.transform, place.parent.name)
        address = place.name.removesuffix(".json")
        _refuse_other(manifest.partition_fingerprint, address.rpartition("@")[2])
    return manifest


def _refuse_other(name: str, folder: str) -> None:
    if name != folder:
        raise ValueError(f"what belongs to {name}")


def _comparison(size: int, content: str) -> Callable[[BucketPath], None]:
    """Returns what downloads an object and compares it with its checksum."""

    def compare(place: BucketPath) -> None:
        with place.bucket.scratch(place.name) as local:
            download_whole(place, local, size, content)

    return compare


def _read_by(read: Callable[[Path], object]) -> Callable[[BucketPath], None]:
    """Returns what downloads an object and reads all of it."""

    def read_object(place: BucketPath) -> None:
        with place.bucket.scratch(place.name) as local:
            place.download(local)
            read(local)

    return read_object
