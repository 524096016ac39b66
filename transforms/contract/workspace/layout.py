"""The layout of a workspace: the folders and files of everything that pipelines make."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.fingerprint import fingerprint
from transforms.contract.workspace.bucket import Bucket, BucketPath
from transforms.contract.workspace.cache import local_copies, local_folder
from transforms.contract.workspace.documents import read_json, reading
from transforms.contract.workspace.drift import MeasuredDrift
from transforms.contract.workspace.files import (
    Place,
    children,
    presence,
    remove,
    write_atomic,
)
from transforms.contract.workspace.manifest import ShardManifest, TransformManifest
from transforms.contract.workspace.partition import PartitionId

PIPELINE_FILE = "pipeline.yaml"  # a declaration, by the name that Braid gives it
TRANSFORM_FILE = "transform.json"  # of a transform's folder: its manifest
GRAPH_FOLDER = "graph"  # of it likewise: the SavedModel
MANIFEST_FILE = "manifest.json"  # of a partition's shards, written last: with it they are committed
UNITS_FOLDER = "units"  # of plans and receipts, until a partition is committed
REMOVED = "removed"  # of a bucket: what stands among the units of a partition that is to go
MANIFESTS_FOLDER = "manifests"  # of a bucket: those of all partitions of a transform
# A variable: the folder of copies of what lies in a bucket, of a machine that has no workspace.
CACHE_VARIABLE = "BRAID_CACHE"
# Of the folder of a transform's statistics.
MOMENTS_FILE = "moments.json"
QUANTILES_FILE = "quantiles.json"
EDGES_FILE = "edges.json"
SCALES_FILE = "scales.json"
REFERENCE_FILE = "reference.json"  # what drift is measured against
COUNTS_SUFFIX = ".counts.json"  # of how often each term of a vocabulary occurs
_LONGEST_NAME = 200  # bytes, of the 255 that file systems allow; a path of folders may be longer
_STATISTICS_FORMAT = 5  # files of another one are not found, so that their partition is read again

LockKind = Literal["run", "server", "transform", "registry", "windows", "predictions", "store"]
# The folders of a workspace; every command that writes there has a lock in the last one.
FOLDERS = (
    "transforms",
    "statistics",
    "keys",
    "drift",
    "shards",
    "rejects",
    "windows",
    "runs",
    "backfills",
    "tunings",
    "beam",
    "cache",
    "registry",
    "locks",
)


@dataclass(frozen=True)
class Workspace:
    """The folder of everything that pipelines make, and the store of their shards.

    Transforms and shards are named by their content, so that pipelines share them.

    Attributes:
        root: The folder: of locks, runs and checkpoints, and without a store of all.
        store: Where transforms, statistics, shards and rejects lie.
    """

    root: Path
    store: Place | None = None

    @classmethod
    def declared(cls, root: Path, store: StoreSpec | None) -> Workspace:
        """Returns a workspace with the store that is declared for it, or without one."""
        if store is None:
            return cls(root)
        if "://" not in store.path:
            return cls(root, Path(store.path))
        copies = Path(os.environ.get(CACHE_VARIABLE) or root / "cache")
        cache = copies / fingerprint(store.path)
        return cls(root, BucketPath(Bucket(store.path, cache, store.cache_bytes)))

    @property
    def stored(self) -> Place:
        """The folder of transforms, statistics, shards and rejects."""
        return self.root if self.store is None else self.store

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks for what another process commits."""
        return 2.0 if isinstance(self.stored, BucketPath) else 0.2

    def transform(self, fingerprint: str) -> Place:
        """Returns the place of a frozen transform, which is a folder."""
        return self.stored / "transforms" / fingerprint

    def transform_folder(self, fingerprint: str) -> Path:
        """Returns the folder of a committed transform to read; that of a bucket is copied."""
        return local_folder(self.transform(fingerprint))

    def statistics(self, declaration: str, partition: str, partition_fingerprint: str) -> Place:
        """Returns the file of what a partition's training rows add up to."""
        folder = self.stored / "statistics" / declaration
        return folder / f"{_address(partition, partition_fingerprint)}.v{_STATISTICS_FORMAT}.arrow"

    def keys(self, key: Any, partition: str, partition_fingerprint: str) -> Path:
        """Returns the file of the hashes of a partition's keys.

        Args:
            key: All that decides on them: `SourceSpec.key_rows`.
            partition: The partition's name.
            partition_fingerprint: The fingerprint of its files.
        """
        folder = self.root / "keys" / fingerprint(key)
        return folder / f"{_address(partition, partition_fingerprint)}.npy"

    def drift(self, transform: str, partitions: Mapping[str, str]) -> Path:
        """Returns the file of how far partitions are from those that a transform was frozen on."""
        return self.root / "drift" / transform / f"{fingerprint(dict(partitions))}.json"

    def shards(self, transform: str, partition: str, partition_fingerprint: str) -> Place:
        """Returns the folder of a partition's shards."""
        return self.stored / "shards" / transform / _address(partition, partition_fingerprint)

    def manifest(self, transform: str, partition: str, partition_fingerprint: str) -> Place:
        """Returns the file with which a partition's shards are committed.

        In a bucket those of all partitions are one level, which a listing tells at once.
        """
        if isinstance(self.stored, Path):
            return self.shards(transform, partition, partition_fingerprint) / MANIFEST_FILE
        address = _address(partition, partition_fingerprint)
        return self.stored / MANIFESTS_FOLDER / transform / f"{address}.json"

    def unit(self, transform: str, partition: str, partition_fingerprint: str, name: str) -> Place:
        """Returns a file of a partition that is being worked on: its plan, or a unit's receipt.

        In a bucket those of all partitions are one level, too.
        """
        if isinstance(self.stored, Path):
            folder = self.shards(transform, partition, partition_fingerprint)
            return folder / UNITS_FOLDER / f"{name}.json"
        address = _address(partition, partition_fingerprint)
        return self.stored / UNITS_FOLDER / transform / f"{address}.{name}.json"

    def remove_units(self, transform: str, partition: str, partition_fingerprint: str) -> None:
        """Removes a partition's plan and receipts."""
        if isinstance(self.stored, Path):
            remove(self.shards(transform, partition, partition_fingerprint) / UNITS_FOLDER)
            return
        address = _address(partition, partition_fingerprint)
        for place in children(self.stored / UNITS_FOLDER / transform):
            if address_of_unit(place) == address:
                remove(place)

    def remove_partition(self, transform: str, partition: str, partition_fingerprint: str) -> None:
        """Removes a partition's shards and rejects; what a kill leaves of them goes next time."""
        part = (transform, partition, partition_fingerprint)
        if isinstance(self.stored, BucketPath):
            write_atomic(self.unit(*part, REMOVED), "{}")  # by which its leftovers are known
        remove(self.manifest(*part))  # then, so that half a partition is none
        remove(self.rejects(*part))
        remove(self.shards(*part))
        self.remove_units(*part)

    def rejects(self, transform: str, partition: str, partition_fingerprint: str) -> Place:
        """Returns the folder of a partition's rejected rows."""
        return self.stored / "rejects" / transform / _address(partition, partition_fingerprint)

    def windows(self, fingerprint: str) -> Path:
        """Returns the folder of a table of windows, by the fingerprint of its partition."""
        return self.root / "windows" / fingerprint

    def runs(self, pipeline: str) -> Path:
        """Returns the folder of a pipeline's runs."""
        return self.root / "runs" / pipeline

    def backfills(self, pipeline: str) -> Path:
        """Returns the folder of a pipeline's backfills."""
        return self.root / "backfills" / pipeline

    def tunings(self, pipeline: str) -> Path:
        """Returns the folder of a pipeline's tunings."""
        return self.root / "tunings" / pipeline

    def beam_jobs(self) -> Path:
        """Returns the folder of the jobs that wait for a Beam runner of another process."""
        return self.root / "beam"

    def beam_signs(self) -> BucketPath | None:
        """Returns where the workers of such jobs look instead: in a bucket; None without one."""
        return self.store / "beam" if isinstance(self.store, BucketPath) else None

    def lock(self, kind: LockKind, name: str) -> Path:
        """Returns the file of a lock; equal names of different kinds are different locks."""
        return self.root / "locks" / kind / f"{name}.lock"

    def run(self, pipeline: str, run_id: str) -> Path:
        """Returns the folder of one run."""
        return self.runs(pipeline) / run_id

    def copied_runs(self, pipeline: str) -> BucketPath | None:
        """Returns the place of the copies of a pipeline's runs; None where the store is no bucket.

        Workspaces that work with one bucket have runs there beside each other.
        """
        stored = self.stored
        return stored / "runs" / pipeline if isinstance(stored, BucketPath) else None

    def read_transform(self, fingerprint: str) -> TransformManifest | None:
        """Returns a transform's manifest, or None if it is not committed."""
        path = self.transform(fingerprint) / TRANSFORM_FILE
        return read_json(path, TransformManifest) if path.exists() else None

    def read_drift(self, transform: str, partitions: Mapping[str, str]) -> MeasuredDrift | None:
        """Returns how far partitions are from a transform's, or None if it was not measured."""
        path = self.drift(transform, partitions)
        return read_json(path, MeasuredDrift) if path.exists() else None

    def newest_transform(self, declaration: str) -> TransformManifest | None:
        """Returns the transform that was committed last for what a declaration says of the data."""
        return next(self.transforms_of(declaration), None)

    def transforms_of(self, declaration: str) -> Iterator[TransformManifest]:
        """Yields what was committed for what a declaration says of the data, the newest first."""
        places = self._transform_files()
        copies = local_copies(places)
        for place in places:
            if place in copies:
                with reading(place):
                    content = copies[place].read_bytes()
                    manifest = TransformManifest.model_validate_json(content)
                if manifest.declaration == declaration:
                    yield manifest

    def _transform_files(self) -> list[Place]:
        """Returns the manifests of all transforms, the newest first."""
        folder = self.stored / "transforms"
        if isinstance(folder, Path):
            paths = list(folder.glob(f"[!.]*/{TRANSFORM_FILE}"))
            paths.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
            return [*paths]
        listed = sorted(folder.listed(all_below=True), key=lambda each: each.modified_ns)
        places = (BucketPath(folder.bucket, each.key) for each in reversed(listed))
        return [place for place in places if place.name == TRANSFORM_FILE]

    def read_shards(
        self, transform: str, partition: str, partition_fingerprint: str
    ) -> ShardManifest | None:
        """Returns a partition's manifest, or None if its shards are not committed."""
        path = self.manifest(transform, partition, partition_fingerprint)
        return read_json(path, ShardManifest) if path.exists() else None

    def read_all_shards(
        self, transform: str, partitions: Iterable[PartitionId]
    ) -> dict[PartitionId, ShardManifest]:
        """Returns the manifests of those partitions whose shards are committed.

        Of a bucket that is one listing, and what is not copied yet is read side by side.
        """
        places = {part: self.manifest(transform, *part) for part in partitions}
        copies = local_copies(places.values())
        manifests = {}
        for part, place in places.items():
            if place in copies:
                with reading(place):
                    content = copies[place].read_bytes()
                    manifests[part] = ShardManifest.model_validate_json(content)
        return manifests

    def is_committed(self, transform: str, partition: str, partition_fingerprint: str) -> bool:
        """Returns whether a partition's shards are committed."""
        return self.manifest(transform, partition, partition_fingerprint).exists()

    def committed(self, transform: str, partitions: Iterable[PartitionId]) -> set[PartitionId]:
        """Returns those partitions whose shards are committed; of a bucket by one listing."""
        places = {part: self.manifest(transform, *part) for part in partitions}
        is_there = presence(places.values())
        return {part for part, place in places.items() if is_there(place)}


def address_of_unit(place: Place) -> str:
    """Returns the partition's name in a bucket of a plan or receipt there."""
    return place.name.removesuffix(".json").rpartition(".")[0]


def written_folders(paths: Iterable[str]) -> set[str]:
    """Returns the folders that Braid writes, of all workspaces that have their locks among paths.

    Args:
        paths: Relative ones, with "/" between their parts.
    """
    roots = set()
    for path in paths:
        *root, folder, kind, name = ("", "", "", *path.split("/"))
        if folder == "locks" and kind in get_args(LockKind) and name.endswith(".lock"):
            roots.add("/".join(filter(None, root)))
    return {f"{root}/{folder}".lstrip("/") for root in roots for folder in FOLDERS}


def folder_name_of(partition: str) -> str:
    """Returns a name that a folder can have, for the name of a partition, which may be a path."""
    name = partition.replace("/", ",")
    return fingerprint(partition) if len(name.encode()) > _LONGEST_NAME else name


def _address(partition: str, partition_fingerprint: str) -> str:
    return f"{folder_name_of(partition)}@{partition_fingerprint}"
